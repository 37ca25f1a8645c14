"""Stage 'loss', where no replay gives it: what the Keras losses that both sides call are handed."""

from __future__ import annotations

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import all_close_to
from twintrain.diagnosis.replay.model_calls import outputs_of
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, LossCall


@looks_for("weights_ignored")
def check_loss_calls(pair: Pair) -> bool:
    """Compare the weights handed to the same losses on the same targets, in the first step.

    A loss of several terms, each by a Keras loss and with a factor that stands in the code alone,
    is one that no replay gives.
    """
    if len(pair.losses) == 2:
        return False
    fit, loop = (side.steps[0].losses for side in pair.sides)
    if not fit or len(fit) != len(loop) or not all(map(_alike, fit, loop)):
        return False
    ours, theirs = (sum(map(_is_weighted, calls)) for calls in (fit, loop))
    if (ours and theirs) or ours == theirs:
        return True
    at_fault, given = (LOOP, ours) if ours else (FIT, theirs)
    pair.findings.name_cause(
        "weights_ignored",
        at_fault,
        0,
        by_reading(
            f"losses called with sample weights in step 1, of {len(fit)}", "none", str(given)
        ),
    )
    return True


def _alike(a: LossCall, b: LossCall) -> bool:
    """Whether two calls are of one kind of loss, on the same targets."""
    if type(a.loss) is not type(b.loss) or a.targets is None or b.targets is None:
        return False
    return all_close_to(outputs_of(a.targets), outputs_of(b.targets))


def _is_weighted(call: LossCall) -> bool:
    """Whether weights were handed over that are not all one."""
    if call.weights is None:
        return False
    flat = [np.asarray(part) for part in keras.tree.flatten(call.weights)]
    return any(part.size and (part != 1).any() for part in flat)


CHECKS = (check_loss_calls,)
