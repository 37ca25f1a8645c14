"""Figures of one name on both sides: equal, named, or told as differing."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import (
    ROWS,
    STEPS,
    Practice,
    cross_entropy,
    mean_loss,
    named,
    nothing,
    pair_of,
    small_model,
)
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.stages.metrics import check_metrics
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.logs import Series
from twintrain.diagnosis.watch.trace import Step, Trace

Of = Callable[[list[Step]], float]


def epochs(trace: Trace, of: Of) -> list[float]:
    return [of(trace.steps[:STEPS]), of(trace.steps[STEPS:])]


def hits(step: Step, top: int = 1) -> np.ndarray:
    p, y = np.asarray(step.outputs), np.asarray(step.element[1])
    return (np.argsort(-p, -1, "stable")[:, :top] == y[:, None]).any(-1)


def accuracy(steps: list[Step]) -> float:
    return float(np.concatenate([hits(step) for step in steps]).mean())


def top_2(steps: list[Step]) -> float:
    return float(np.concatenate([hits(step, 2) for step in steps]).mean())


def by_batches(steps: list[Step]) -> float:
    return float(np.mean([hits(step).mean() for step in steps]))


def last(steps: list[Step]) -> float:
    return steps[-1].target or 0.0


def logged(
    of_fit: Callable[[Trace], Series], of_loop: Callable[[Trace], Series], **practices: Practice
) -> Pair:
    def plant(fit: Trace, loop: Trace) -> None:
        fit.log, loop.log = of_fit(fit), of_loop(loop)

    pair = pair_of(plant=plant, **practices)
    check_losses(pair)
    check_metrics(pair)
    return pair


def looks(pair: Pair) -> list[tuple[bool, str]]:
    return [(look.compared, look.said) for look in pair.findings.looks if look.what == "logs"]


def usual(trace: Trace) -> Series:
    return {"loss": epochs(trace, mean_loss), "accuracy": epochs(trace, accuracy)}


def test_spellings_of_one_figure_are_compared() -> None:
    pair = logged(
        usual,
        lambda t: {"trainLoss": epochs(t, mean_loss), "train_acc": epochs(t, accuracy)},
    )
    assert nothing(pair)
    assert not pair.findings.differing
    assert looks(pair) == [(True, "loss, accuracy")]


def test_percent_and_rounded_figures_are_the_same_figures() -> None:
    def rounded(t: Trace) -> Series:
        return {
            "loss": [round(v, 3) for v in epochs(t, mean_loss)],
            "acc": [round(100 * v, 2) for v in epochs(t, accuracy)],
        }

    pair = logged(usual, rounded)
    assert nothing(pair)
    assert not pair.findings.differing


@pytest.mark.parametrize(
    ("figure", "of", "id_"),
    [
        ("loss", last, "last_batch_logged"),
        ("accuracy", by_batches, "metric_batch_average"),
        ("accuracy", top_2, "metric_definition_differs"),
    ],
)
@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_a_figure_is_named_on_the_side_that_has_the_unusual_one(
    figure: str, of: Of, id_: str, side: str
) -> None:
    def unusual(t: Trace) -> Series:
        return usual(t) | {figure: epochs(t, of)}

    pair = logged(*((unusual, usual) if side == "keras_fit" else (usual, unusual)))
    assert named(pair) == [(id_, side, STEPS - 1)]
    evidence = pair.findings.causes[0].evidence[0]
    trace = pair.side(side).trace
    assert float(evidence.observed) == pytest.approx(epochs(trace, of)[0], rel=1e-5)
    assert evidence.observed == evidence.replayed  # type: ignore[union-attr]
    right = {"loss": mean_loss, "accuracy": accuracy}[figure]
    assert float(evidence.correct) == pytest.approx(  # type: ignore[union-attr]
        epochs(trace, right)[0], rel=1e-5
    )


def test_a_loss_without_the_losses_of_the_layers_is_named() -> None:
    practice = Practice(build=lambda: small_model(regularizer=keras.regularizers.L2(0.1)))

    def data_loss(t: Trace) -> Series:
        def of(steps: list[Step]) -> float:
            values = [(step.target or 0.0) - step.layer_losses for step in steps]
            return float(np.average(values, weights=[step.size for step in steps]))

        return {"loss": epochs(t, of)}

    pair = logged(usual, data_loss, fit=practice, loop=practice)
    assert named(pair) == [("metric_definition_differs", "custom_loop", STEPS - 1)]
    assert "without the losses of the layers" in pair.findings.causes[0].fix


def test_a_mistake_of_one_figure_is_not_hidden_by_another_figure_of_the_other_side() -> None:
    """Each figure is held against its own namesake, not against all that the other side does."""

    def fit(t: Trace) -> Series:
        return usual(t) | {"own": epochs(t, by_batches)}

    pair = logged(fit, lambda t: usual(t) | {"accuracy": epochs(t, by_batches)})
    assert named(pair) == [("metric_batch_average", "custom_loop", STEPS - 1)]


def test_a_figure_that_nothing_explains_is_told_where_the_trainings_are_the_same() -> None:
    pair = logged(usual, lambda t: usual(t) | {"accuracy": [0.125, 0.5]})
    assert nothing(pair)
    (said,) = pair.findings.differing
    first = epochs(pair.fit.trace, accuracy)[0]
    assert said == (
        f"accuracy of epoch 1 is {first:.6g} in keras_fit and 0.125 in custom_loop, and no way of "
        "computing it that was tried gives both"
    )


@pytest.mark.parametrize("mistaken", [1.0, 0.9])
def test_a_figure_divided_by_the_rows_of_data_that_was_cut_is_the_figure(mistaken: float) -> None:
    """The code divides by the rows there are, of which only a part was given to it."""

    def cut(fit: Trace, loop: Trace) -> None:
        fit.log = usual(fit)
        share = mistaken * ROWS / (3 * ROWS)
        loop.log = usual(loop) | {"loss": [share * loss for loss in usual(loop)["loss"]]}

    pair = pair_of(plant=cut)
    pair.subject.train.cut, pair.subject.train.total = True, 3 * ROWS
    check_losses(pair)
    check_metrics(pair)
    assert nothing(pair)
    assert bool(pair.findings.differing) == (mistaken != 1)


def test_other_batches_make_a_difference_no_news() -> None:
    backwards = Practice(order=lambda epoch, rows: np.arange(rows)[::-1])
    pair = logged(usual, lambda t: usual(t) | {"accuracy": [0.125, 0.5]}, loop=backwards)
    assert not pair.findings.differing
    assert looks(pair) == [
        (True, "loss"),
        (False, "accuracy: the two train on other batches"),
    ]


def test_an_unexplained_loss_after_other_weights_is_no_news() -> None:
    summed = Practice(loss=lambda y, p, w: 8.0 * cross_entropy(y, p, w))
    pair = logged(usual, lambda t: usual(t) | {"loss": [0.125, 0.5]}, loop=summed)
    assert not pair.findings.differing


def test_no_figures_are_told() -> None:
    pair = logged(lambda t: {}, lambda t: {})
    assert looks(pair) == [(False, "neither side reports figures")]
    assert not pair.findings.looks[0].open
    pair = logged(usual, lambda t: {})
    assert looks(pair) == [(False, "custom_loop reports no figures")]
    pair = logged(lambda t: {"a": [0.1, 0.2]}, lambda t: {"b": [0.1, 0.2]})
    why = "no figure stands on both sides: keras_fit has a; custom_loop has b"
    assert looks(pair) == [(False, why)]
    assert not pair.findings.looks[0].open, "lists of as many numbers need be no figures"


def test_a_figure_by_another_name_is_known_by_its_values() -> None:
    pair = logged(usual, lambda t: {"costs": usual(t)["loss"], "odd": [0.1, 0.2]})
    assert looks(pair)[0] == (True, "loss")
    assert nothing(pair)
    pair = logged(lambda t: {"objective": usual(t)["loss"]}, lambda t: {"costs": usual(t)["loss"]})
    assert looks(pair) == [(True, "objective")]
