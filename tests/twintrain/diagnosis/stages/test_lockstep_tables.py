"""Two traces, tensor by tensor."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import STEPS, Practice, cross_entropy, pair_of, shuffled
from twintrain.diagnosis.stages.lockstep_tables import (
    compared_steps,
    first_divergence,
    lockstep_tables,
    same_batches,
    same_order,
    weight_curve,
)
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.watch.trace import Trace

ORDER = ["batch", "forward output", "loss", "gradient", "update"]


def test_equal_traces_do_not_differ() -> None:
    pair = pair_of()
    tables = lockstep_tables(pair)
    assert len(tables) == 2 * STEPS
    assert list(dict.fromkeys(row.stage for row in tables[0])) == ORDER
    assert first_divergence(tables, 0.0) is None
    assert weight_curve(pair) == [0.0] * (2 * STEPS)


def test_the_first_tensor_that_differs_is_found_with_its_step_and_size() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        gradient, after = loop.steps[2].gradients[1], loop.steps[2].after
        assert gradient is not None
        assert after is not None
        gradient[0] += 0.5
        after[0] = after[0] + 0.25

    pair = pair_of(plant=plant)
    found = first_divergence(lockstep_tables(pair), 1e-6)
    assert found is not None
    assert (found.step, found.stage) == (3, "gradient")
    assert found.max_abs == pytest.approx(0.5)
    assert weight_curve(pair)[1:3] == [0.0, pytest.approx(0.25)]


def test_batches_come_before_what_they_lead_to() -> None:
    pair = pair_of(loop=Practice(order=lambda epoch, rows: np.arange(rows)))
    found = first_divergence(lockstep_tables(pair), 1e-6)
    assert found is not None
    assert (found.step, found.stage, found.tensor) == (1, "batch", "inputs")


def later_another(epoch: int, rows: int) -> np.ndarray:
    """The order of `shuffled` in the first epoch, and another one from then on."""
    return shuffled(epoch + 7 if epoch else 0, rows)


def first_epoch_only(fit: Trace, loop: Trace) -> None:
    """No step of the second epoch was kept in full."""
    for trace in (fit, loop):
        for step in trace.steps[STEPS:]:
            step.before = None


def test_an_order_that_parts_beyond_what_was_kept_is_another_order() -> None:
    assert same_order(pair_of(plant=first_epoch_only))
    apart = pair_of(loop=Practice(order=later_another), plant=first_epoch_only)
    assert same_batches(apart)
    assert not same_order(apart)


@pytest.mark.parametrize("side", [0, 1])
def test_steps_are_compared_up_to_the_first_gap(side: int) -> None:
    def plant(*traces: Trace) -> None:
        traces[side].steps[3].before = None

    pair = pair_of(plant=plant)
    assert [fit.number for fit, _ in compared_steps(pair)] == [0, 1, 2]
    assert len(lockstep_tables(pair)) == len(weight_curve(pair)) == 3


def test_a_loss_that_is_scaled_and_scaled_back_by_hand_is_compared_without_its_scale() -> None:
    by_hand = Practice(
        loss=lambda y, p, w: 64 * cross_entropy(y, p, w),
        handed=lambda gradients: [g / 64 for g in gradients],
    )
    pair = pair_of(loop=by_hand)
    check_losses(pair)
    assert first_divergence(lockstep_tables(pair), 2e-5) is None


def test_outputs_that_are_not_built_alike_are_left_out_and_noted() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            step.outputs = [step.outputs, step.outputs]

    pair = pair_of(plant=plant)
    tables = lockstep_tables(pair)
    assert first_divergence(tables, 0.0) is None
    assert "forward output" not in {row.stage for row in tables[0]}
    (look,) = pair.findings.looks
    assert (look.what, look.compared, look.open) == ("forward output", False, False)


def test_a_variable_that_one_side_leaves_out_is_the_one_that_differs() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            step.sources, step.gradients = step.sources[2:], step.gradients[2:]

    pair = pair_of(plant=plant)
    apart = [row for row in lockstep_tables(pair)[0] if row.exceeds(0.0)]
    variables = pair.fit.close[0].model.variables
    assert [(row.stage, row.tensor) for row in apart] == [
        ("gradient", variables[0].path),
        ("gradient", variables[1].path),
    ]


def test_other_rows_and_outputs_that_are_not_built_alike_are_another_batch() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            step.outputs = [step.outputs, step.outputs]

    other = Practice(order=lambda epoch, rows: np.arange(rows))
    found = first_divergence(lockstep_tables(pair_of(loop=other, plant=plant)), 1e-6)
    assert found is not None
    assert found.stage == "batch"
