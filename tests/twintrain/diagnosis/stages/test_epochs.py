"""Stage 'end of run': epochs asked for and trained."""

from __future__ import annotations

import pytest

from tests.twintrain.diagnosis.traces import STEPS, named, nothing, pair_of
from twintrain.diagnosis.stages.epochs import check_epochs
from twintrain.diagnosis.watch.trace import Trace


def test_the_epochs_that_are_asked_for_name_nothing() -> None:
    pair = pair_of()
    assert check_epochs(pair)
    assert nothing(pair)
    assert "epochs_differ" in pair.findings.ruled_out


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
@pytest.mark.parametrize(
    ("alone", "both", "said"), [(1, 1, "1 and 1"), (0, 1, "0 and 1"), (2, 2, "2 and 2")]
)
def test_a_side_that_trains_other_epochs_is_named(
    side: str, alone: int, both: int, said: str
) -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        trace = fit if side == "keras_fit" else loop
        trace.steps = trace.steps[: both * STEPS]

    pair = pair_of(plant=plant)
    pair.side(side).alone = alone * STEPS
    check_epochs(pair)
    assert named(pair) == [("epochs_differ", side, None)]
    (evidence,) = pair.findings.causes[0].evidence
    assert (evidence.observed, evidence.expected) == (said, "1 and 2")


def test_a_part_of_an_epoch_is_another_matter() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        loop.steps = loop.steps[: STEPS + 2]

    pair = pair_of(plant=plant)
    check_epochs(pair)
    assert nothing(pair)


def test_a_loop_that_cannot_be_asked_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes over a data set that repeats itself, as long as that lasts."""
    pair = pair_of()
    pair.loop.alone = 2 * STEPS
    monkeypatch.setattr(type(pair.subject), "unasked", frozenset({"custom_loop"}))
    assert not check_epochs(pair)
    assert nothing(pair)
    (look,) = pair.findings.looks
    assert look.open
    assert "2 times, whatever it is asked for" in look.said
