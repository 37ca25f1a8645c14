"""Do reported figures follow from what a side did?"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import STEPS, mean_loss, named, nothing, pair_of
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.model_calls import weights_of
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.stages.metrics import check_metrics, check_resets
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.trace import MetricEvent, Trace


def logged(series: Callable[[Trace], list[float]]) -> Pair:
    """A pair whose loop logs this loss."""

    def plant(fit: Trace, loop: Trace) -> None:
        loop.log = {"loss": series(loop)}

    pair = pair_of(plant=plant)
    check_losses(pair)
    return pair


def by_batches(trace: Trace) -> list[float]:
    targets = [step.target or 0.0 for step in trace.steps]
    return [float(np.mean(targets[:STEPS])), float(np.mean(targets[STEPS:]))]


def running(trace: Trace) -> list[float]:
    return [mean_loss(trace.steps[:STEPS]), mean_loss(trace.steps)]


def after_updates(trace: Trace) -> list[float]:
    found = []
    for steps in (trace.steps[:STEPS], trace.steps[STEPS:]):
        model, loss = steps[-1].model, keras.losses.SparseCategoricalCrossentropy()
        with weights_of(model, steps[-1].after or []):
            values = [float(loss(s.element[1], model(s.inputs, training=False))) for s in steps]
        found.append(float(np.average(values, weights=[s.size for s in steps])))
    return found


def test_means_over_rows_name_nothing() -> None:
    pair = pair_of()
    check_losses(pair)
    assert check_metrics(pair)
    assert not check_resets(pair)
    assert nothing(pair)
    assert {"metrics_not_reset", "metric_batch_average", "loss_before_update"} <= (
        pair.findings.ruled_out
    )


@pytest.mark.parametrize(
    ("series", "id_", "step", "stage"),
    [
        (by_batches, "metric_batch_average", STEPS - 1, Stage.METRIC),
        (running, "metrics_not_reset", 2 * STEPS - 1, Stage.SECOND_METRIC),
        (after_updates, "loss_before_update", STEPS - 1, Stage.METRIC),
    ],
)
def test_another_way_of_averaging_is_named_and_replayed(
    series: Callable[[Trace], list[float]], id_: str, step: int, stage: Stage
) -> None:
    pair = logged(series)
    check_metrics(pair)
    assert named(pair) == [(id_, "custom_loop", step)]
    assert pair.findings.causes[0].first_visible is stage
    evidence = pair.findings.causes[0].evidence[0]
    epoch = 1 if id_ == "metrics_not_reset" else 0
    assert float(evidence.observed) == pytest.approx(series(pair.loop.trace)[epoch], rel=1e-5)
    assert float(evidence.replayed) == pytest.approx(float(evidence.observed), rel=2e-4)
    assert float(evidence.correct) != pytest.approx(float(evidence.observed), rel=2e-4)


def test_two_ways_at_once_show_in_the_epochs_of_each() -> None:
    def series(trace: Trace) -> list[float]:
        targets = [step.target or 0.0 for step in trace.steps]
        return [float(np.mean(targets[:STEPS])), float(np.mean(targets))]

    pair = logged(series)
    check_metrics(pair)
    assert named(pair) == [
        ("metrics_not_reset", "custom_loop", 2 * STEPS - 1),
        ("metric_batch_average", "custom_loop", STEPS - 1),
    ]


def test_a_way_that_both_sides_use_is_no_difference() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        fit.log, loop.log = {"loss": by_batches(fit)}, {"loss": by_batches(loop)}

    pair = pair_of(plant=plant)
    check_losses(pair)
    check_metrics(pair)
    assert nothing(pair)


def test_figures_that_are_not_understood_name_nothing() -> None:
    pair = logged(lambda trace: [0.1, 0.2])
    assert check_metrics(pair)  # what fit reports was understood
    assert nothing(pair)


def events(reset: bool) -> Callable[[Trace, Trace], None]:
    metric = keras.metrics.Mean(name="train_loss")

    def plant(fit: Trace, loop: Trace) -> None:
        for epoch in range(2):
            if epoch and reset:
                loop.metrics.append(MetricEvent(STEPS, metric, "reset_state"))
            for step in range(STEPS):
                loop.metrics.append(MetricEvent(epoch * STEPS + step + 1, metric, "update_state"))
            loop.metrics.append(MetricEvent((epoch + 1) * STEPS, metric, "result", 0.5))

    return plant


def test_a_metric_that_is_not_reset_is_named_with_its_updates() -> None:
    pair = pair_of(plant=events(reset=False))
    assert check_resets(pair)
    assert named(pair) == [("metrics_not_reset", "custom_loop", 2 * STEPS - 1)]
    evidence = pair.findings.causes[0].evidence[0]
    assert evidence.quantity == "updates in train_loss when it is read in epoch 2"
    assert (evidence.observed, evidence.expected) == (str(2 * STEPS), str(STEPS))


def test_a_metric_that_is_reset_is_right() -> None:
    pair = pair_of(plant=events(reset=True))
    assert not check_resets(pair)
    assert nothing(pair)
