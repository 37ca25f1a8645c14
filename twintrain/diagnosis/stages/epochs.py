"""Stage 'end of run': how many epochs a side trains when it is asked for one and for two."""

from __future__ import annotations

from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP

ASKED = (1, 2)


@looks_for("epochs_differ")
def check_epochs(pair: Pair) -> bool:
    """Compare the whole passes over the data that the sides make."""
    if not pair.complete:
        return False
    fit, loop = (_trained(side, len(pair.subject.train)) for side in pair.sides)
    if fit is None or loop is None or fit == loop:
        return True
    for side, trained in ((FIT, fit), (LOOP, loop)):
        if side in pair.subject.unasked and trained[0] == trained[1] > 1:
            why = f"{side} passes over the data {trained[0]} times, whatever it is asked for"
            pair.findings.not_compared("epochs", why, open_=True)
            return False
    at_fault, observed, expected = (FIT, fit, loop) if loop == ASKED else (LOOP, loop, fit)
    name_epochs(pair, at_fault, ASKED, observed, expected)
    return True


def name_epochs(
    pair: Pair,
    at_fault: str,
    asked: tuple[int, ...],
    observed: tuple[int, ...],
    expected: tuple[int, ...],
    fix: str = "",
) -> None:
    """Name `epochs_differ`.

    Args:
        pair: findings go here.
        at_fault: the side that trains for another number of epochs.
        asked: numbers of epochs the side was asked for, each in another run; none where it trains
            for a number of its own.
        observed: those it trained.
        expected: those the other side trained.
        fix: what to do, where nothing was asked for.
    """
    told = " and ".join(map(str, asked))
    quantity = f"epochs trained when asked for {told}" if asked else "epochs"
    pair.findings.name_cause(
        "epochs_differ",
        at_fault,
        None,
        by_reading(quantity, _said(observed), _said(expected)),
        fix=fix or f"Train for the epochs that are asked for: {told}, not {_said(observed)}.",
    )


def _said(epochs: tuple[int, ...]) -> str:
    return " and ".join(map(str, epochs))


def _trained(side: Side, rows: int) -> tuple[int, int] | None:
    """Epochs trained when asked for one and for two; None where these are not whole."""
    found = [sum(side.stream.sizes[:steps]) for steps in (side.alone, len(side.steps))]
    if any(seen % rows for seen in found):
        return None
    return found[0] // rows, found[1] // rows


CHECKS = (check_epochs,)
