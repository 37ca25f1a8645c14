"""Gradients of several small batches that are added up rightly: the same updates as with large
batches, of which no single step is the other side's.
"""

from __future__ import annotations

from twintrain.diagnosis.replay.parting import compared_epochs
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import FIT, LOOP

# What a small batch looks like beside a large one; each acts in every update.
_OF_SMALL_BATCHES = frozenset(
    {"batch_size_differs", "gradient_accumulation", "gradients_rescaled", "loss_reduction"}
)


def acquit_accumulation(
    pair: Pair, runs: dict[str, Milestones], steps: int, whole: bool, parted: bool
) -> None:
    """Take back what was named of small batches where the sides, run as they are, train alike.

    Args:
        pair: its findings are changed.
        runs: of both sides, as they are, unshuffled.
        steps: of fit, in an epoch of these; one alone would be all rows at once, whatever the size.
        whole: none of their epochs was left out, and they end as epochs of all data do.
        parted: the weights of the sides came apart by more than rounding.
    """
    findings = pair.findings
    named = {cause.id for cause in findings.causes}
    sides = {cause.side for cause in findings.causes}
    if "gradient_accumulation" not in named or not named <= _OF_SMALL_BATCHES or len(sides) > 1:
        return
    fit, loop = runs[FIT], runs[LOOP]
    if parted or not whole or steps < 2 or fit.epochs != loop.epochs or fit.epochs < 2:
        return
    (side,) = sides
    epochs = compared_epochs(fit, loop) - 1  # the last is what they ended with
    findings.causes.clear()
    findings.ruled_out |= named
    findings.adds_up = side
    findings.notes.append(
        f"{side} adds up the gradients of several small batches for an update. Run as they are, "
        f"both sides have the same weights after each of {epochs} epochs of {steps} updates; what "
        "one small batch does was not compared."
    )
