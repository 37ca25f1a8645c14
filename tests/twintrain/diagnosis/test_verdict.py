"""What the stages found, weighed against what the numbers say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import STEPS, Practice, pair_of
from twintrain.diagnosis.diagnose import CHECKS, attempt
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.verdict import conclude, repeat_of
from twintrain.diagnosis.watch.trace import Trace

Plant = Callable[[Trace, Trace], None]


def once(pair: Pair) -> dict[str, Trace]:
    """Another run of each side: the same."""
    return {side.name: side.trace for side in pair.sides}


def concluded(pair: Pair, replayed: bool = True) -> Diagnosis:
    """The verdict on a pair whose sides repeat themselves."""
    return conclude(pair, 0.0, replayed)


def moved(by: float, step: int = 3) -> Plant:
    """From a step on, a weight of the loop is elsewhere."""

    def plant(fit: Trace, loop: Trace) -> None:
        for later in loop.steps[step:]:
            assert later.after is not None
            later.after[0] = later.after[0] + np.float32(by)

    return plant


def test_equal_sides_are_identical_by_every_check() -> None:
    pair = pair_of()
    for check in CHECKS:
        check(pair)
    found = concluded(pair)
    assert (found.verdict, found.causes, found.unexplained) == ("identical", [], [])
    assert found.max_abs_difference == 0.0
    assert found.steps == 2 * STEPS
    assert {"different_initial_weights", "loss_reduction", "trainable_flags"} < set(found.ruled_out)
    # There are no averages, and the end was not compared.
    assert not {"ema_not_finalized", "early_stopping_rule"} & set(found.ruled_out)


def test_what_is_not_explained_is_unknown_where_the_sides_differ() -> None:
    pair = pair_of(plant=moved(0.5))
    pair.findings.unexplained.append("something")
    found = concluded(pair, replayed=False)
    assert (found.verdict, found.unexplained) == ("unknown", ["something"])
    assert found.first_divergence is not None
    assert (found.first_divergence.step, found.first_divergence.stage) == (4, "update")


def test_what_is_not_explained_does_not_matter_where_they_are_equal() -> None:
    pair = pair_of()
    pair.findings.unexplained.append("a loss of one's own, on both sides")
    assert concluded(pair, replayed=False).verdict == "identical"


@pytest.mark.parametrize(
    ("by", "replayed", "verdict"),
    [(1e-4, True, "identical"), (1e-4, False, "unknown"), (1e-2, True, "unknown")],
)
def test_a_small_difference_is_rounding_where_all_was_replayed(
    by: float, replayed: bool, verdict: str
) -> None:
    pair = pair_of(plant=moved(by))
    found = concluded(pair, replayed=replayed)
    assert found.verdict == verdict
    assert bool(found.unexplained) == (verdict == "unknown")


def test_sides_whose_batches_cannot_be_compared_are_not_called_identical() -> None:
    pair = pair_of(loop=Practice(order=lambda epoch, rows: np.arange(rows)))
    found = concluded(pair)
    assert (found.verdict, found.unexplained) == ("unknown", [])
    assert found.first_divergence is not None
    assert found.first_divergence.stage == "batch"
    (steps,) = [look for look in found.coverage if look.what == "steps"]
    assert (steps.compared, steps.open) == (False, True)
    assert steps.said.startswith("batches come in another order")


def cut(fit: Trace, loop: Trace) -> None:
    """The loop did not come to its end."""
    loop.complete, loop.note = False, "stopped after 75 s"


@pytest.mark.parametrize("why", ["cut off", "failed", "differs", "apart", "not looked at"])
def test_equal_numbers_are_not_enough_where_something_was_left_open(why: str) -> None:
    pair = pair_of(plant=cut if why == "cut off" else lambda fit, loop: None)
    if why == "failed":
        assert not attempt(pair, failing)
        assert "read: ZeroDivisionError" in pair.findings.failures[0]
    elif why == "differs":
        pair.findings.differing.append("accuracy of epoch 1")
    elif why == "apart":
        pair.findings.apart = "after epoch 7 the weights are apart"
    elif why == "not looked at":
        pair.findings.not_compared("end of run", "no time", open_=True)
    found = concluded(pair)
    assert found.verdict == "unknown"
    assert found.max_abs_difference == 0.0
    assert bool(found.unexplained) == (why in ("differs", "apart"))


@pytest.mark.parametrize(("id_", "left"), [("metrics_not_reset", 1), ("loss_reduction", 0)])
def test_a_cause_in_the_figures_explains_no_other_training(id_: str, left: int) -> None:
    pair = pair_of()
    pair.findings.apart = "after epoch 7 the weights are apart"
    pair.findings.name_cause(id_, "custom_loop", 0)
    found = concluded(pair)
    assert (found.verdict, len(found.unexplained)) == ("causes_found", left)


def failing(pair: Pair) -> bool:
    """A check with a fault of its own."""
    return bool(1 / 0)


def test_what_was_compared_is_told() -> None:
    found = concluded(pair_of())
    assert [(look.what, look.compared, look.open) for look in found.coverage] == [
        ("epochs", True, False),
        ("steps", True, False),
        ("evaluation", True, False),
    ]
    assert found.coverage[1].said == f"{2 * STEPS} of {2 * STEPS} tensor by tensor"


def test_causes_stand_in_the_order_of_the_catalogue_and_are_not_ruled_out() -> None:
    pair = pair_of()
    pair.findings.ruled_out = {"loss_reduction", "mask_ignored"}
    for id_ in ("metrics_not_reset", "loss_reduction"):
        pair.findings.name_cause(id_, "custom_loop", 0)
    found = concluded(pair)
    assert found.verdict == "causes_found"
    assert [cause.id for cause in found.causes] == ["loss_reduction", "metrics_not_reset"]
    assert found.ruled_out == ["mask_ignored"]


def test_code_that_does_not_repeat_itself_widens_the_tolerance_or_is_told() -> None:
    pair, again = pair_of(), pair_of(plant=moved(1e-4))
    found = conclude(pair, repeat_of(pair, once(again), STEPS), replayed=True)
    assert found.tolerance == pytest.approx(2e-4, rel=1e-2)
    assert not found.notes
    found = conclude(pair, repeat_of(pair, once(pair_of(plant=moved(0.1))), STEPS), replayed=True)
    assert found.tolerance == 2e-5
    assert found.notes[0].startswith("custom_loop does not repeat itself")


def test_a_side_that_asks_for_xla_is_told() -> None:
    pair = pair_of()
    pair.loop.trace.compiled = True
    assert concluded(pair).notes == [
        "Only custom_loop asks for XLA. Step by step both were watched without it: what it "
        "rounds differently is not counted."
    ]
