"""How a training ends: early stopping, the weights that are kept."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import data, named, nothing, pair_of, small_model
from twintrain.diagnosis.replay.common_losses import common_losses
from twintrain.diagnosis.replay.early_stopping import EPOCHS
from twintrain.diagnosis.replay.losses import LossReading
from twintrain.diagnosis.stages.end_of_run import check_ending
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import snapshot

# A loss that falls for six epochs, and rises.
BEST = 6


def run(epochs: int, kept: int, best: int = BEST, asked: int = EPOCHS) -> Milestones:
    """A longer training whose head's bias comes nearest to what is right after epoch six."""
    model = small_model()
    first = snapshot(model)
    states = [first]
    for epoch in range(1, epochs + 1):
        state = [value.copy() for value in first]
        state[-1] += np.array([0.4 * abs(epoch - best), 0.0, 0.001 * epoch], np.float32)
        states.append(state)
    found = Milestones(model)
    found.states, found.kept, found.asked = states, states[kept], asked
    return found


def compile_with(pair: Pair, metric: keras.Metric | None) -> None:
    """Let `fit`'s model be compiled with a metric."""
    if metric is not None:
        model = pair.fit.trace.fits[0].model
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric])
        model.evaluate(data(12, 1).element[0], np.ones(12), verbose=0)


def ended(
    fit: Milestones,
    loop: Milestones,
    patience: int | None = None,
    again: Milestones | None = None,
    further: tuple[Milestones, Milestones] | None = None,
    own: Rows | None = None,
    monitor: str = "val_loss",
    losses: bool = True,
    metric: keras.Metric | None = None,
) -> Pair:
    pair = pair_of()
    compile_with(pair, metric)
    check_losses(pair)
    assert isinstance(pair.losses["keras_fit"], LossReading)
    pair.losses["keras_fit"].declared = next(common_losses())
    if not losses:
        pair.losses = {}
    if patience is not None:
        callback = keras.callbacks.EarlyStopping(monitor=monitor, patience=patience)
        pair.fit.trace.fits[0].arguments["callbacks"] = [callback]
    test = data(12, 1)
    test.element = (test.element[0], np.ones(12, "int32"))
    runs = {"keras_fit": fit, "custom_loop": loop}
    pair.subject.own_test = lambda: own  # type: ignore[method-assign]
    longer = None if further is None else dict(zip(runs, further, strict=True))
    assert check_ending(pair, runs, test, lambda side: again, [lambda: longer])
    return pair


@pytest.mark.parametrize("patience", [None, 3])
def test_equal_ends_name_nothing(patience: int | None) -> None:
    epochs = EPOCHS if patience is None else BEST + patience
    pair = ended(run(epochs, BEST), run(epochs, BEST), patience)
    assert nothing(pair)
    assert {"early_stopping_rule", "best_weights_not_restored"} <= pair.findings.ruled_out


def test_a_rule_that_stopped_neither_side_leaves_open_whether_the_other_has_it() -> None:
    pair = ended(run(EPOCHS, EPOCHS), run(EPOCHS, EPOCHS), patience=EPOCHS)
    assert named(pair) == []
    assert [look.what for look in pair.findings.looks if look.open] == ["early stopping"]


LONG = 2 * EPOCHS


@pytest.mark.parametrize("longer", [None, (run(BEST + 3, BEST), run(LONG, LONG, LONG, LONG))])
def test_a_loop_that_fits_rule_would_not_have_stopped_leaves_open_whether_it_has_it(
    longer: tuple[Milestones, Milestones] | None,
) -> None:
    fit, loop = run(BEST + 3, BEST), run(EPOCHS, EPOCHS, best=EPOCHS)
    pair = ended(fit, loop, patience=3, further=longer)
    assert named(pair) == []
    (look,) = (look for look in pair.findings.looks if look.open)
    epochs = EPOCHS if longer is None else LONG
    assert look.said == (
        f"it stopped fit alone within {epochs} epochs, and would not have stopped the loop"
    )


def test_a_loop_that_goes_on_beyond_what_its_figures_allow_is_named_by_a_longer_run() -> None:
    fit, loop = run(BEST + 3, BEST), run(EPOCHS, EPOCHS, best=EPOCHS)
    further = run(BEST + 3, BEST, asked=LONG), run(LONG, LONG, best=EPOCHS, asked=LONG)
    pair = ended(fit, loop, patience=3, further=further)
    assert [cause.id for cause in pair.findings.causes][:1] == ["early_stopping_rule"]
    assert not any(look.open for look in pair.findings.looks)


@pytest.mark.parametrize(("epochs", "found"), [(4, []), (5, ["early_stopping_rule"])])
def test_a_loop_that_may_evaluate_on_rows_of_its_own_is_judged_by_its_figures_on_these_too(
    epochs: int, found: list[str]
) -> None:
    own = data(12, 1)
    own.element = (own.element[0], np.zeros(12, "int32"))  # on which the loss rises at once
    pair = ended(run(BEST + 3, BEST + 3), run(epochs, epochs), patience=3, own=own)
    assert [cause.id for cause in pair.findings.causes] == found


def test_the_same_rule_of_both_shows_in_a_longer_run() -> None:
    slow = run(EPOCHS, EPOCHS, best=EPOCHS)
    later = run(EPOCHS + 3, EPOCHS, best=EPOCHS, asked=LONG)
    pair = ended(slow, slow, patience=3, further=(later, later))
    assert nothing(pair)
    assert not any(look.open for look in pair.findings.looks)


def test_another_patience_is_named_with_the_rule() -> None:
    pair = ended(run(BEST + 3, BEST), run(BEST + 5, BEST), patience=3)
    assert named(pair) == [("early_stopping_rule", "custom_loop", None)]
    evidence = pair.findings.causes[0].evidence[0]
    assert evidence.observed == "11"
    assert evidence.replayed == "11 (monitor val_loss, mode min, patience 5, min_delta 0)"
    assert evidence.correct == "9 (monitor val_loss, patience 3, min_delta 0)"


def test_a_loop_that_never_stops_is_named() -> None:
    pair = ended(run(BEST + 3, BEST), run(EPOCHS, BEST), patience=3)
    assert named(pair) == [("early_stopping_rule", "custom_loop", None)]
    assert pair.findings.causes[0].evidence[0].replayed == f"{EPOCHS} (no early stopping)"


def test_a_figure_that_is_not_known_accuses_a_loop_of_other_weights_of_nothing() -> None:
    fit, loop = run(BEST + 3, BEST), run(EPOCHS, EPOCHS, best=EPOCHS)
    pair = ended(fit, loop, patience=3, monitor="val_auc")
    assert named(pair) == []
    (look,) = (look for look in pair.findings.looks if look.open)
    assert look.said == "fit stops after 9 epochs, the loop after 24, and its val_auc is not known"


def test_of_equal_weights_it_is_the_same_whatever_it_is() -> None:
    pair = ended(run(BEST + 3, BEST), run(EPOCHS, BEST), patience=3, monitor="val_auc")
    assert named(pair) == [("early_stopping_rule", "custom_loop", None)]


def test_whether_the_last_epoch_was_the_best_may_not_be_known() -> None:
    pair = ended(run(9, BEST), run(9, 9, best=9), losses=False)
    assert named(pair) == []
    assert [look.what for look in pair.findings.looks if look.open] == ["weights kept"]
    assert named(ended(run(9, BEST), run(9, 9), losses=False)) == [
        ("best_weights_not_restored", "custom_loop", None)
    ]


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_another_number_of_epochs_that_depends_on_no_figure_is_named(side: str) -> None:
    short, whole = run(10, 10), run(EPOCHS, EPOCHS)
    fit, loop = (short, whole) if side == "keras_fit" else (whole, short)
    pair = ended(fit, loop, again=run(10, 10))
    assert named(pair) == [("epochs_differ", side, None)]
    (evidence,) = pair.findings.causes[0].evidence
    assert evidence.quantity == f"epochs trained when asked for {EPOCHS}"
    assert (evidence.observed, evidence.expected) == ("10", str(EPOCHS))
    # On other figures it stops elsewhere: that is early stopping.
    assert not ended(fit, loop, again=run(11, 11)).findings.has("epochs_differ")


def test_a_stop_by_no_known_rule_is_not_explained() -> None:
    pair = ended(run(BEST + 3, BEST), run(EPOCHS - 1, BEST), patience=3)
    assert not pair.findings.causes
    assert pair.findings.unexplained == [
        "the loop trains 23 epochs, where fit's rule gives 9, and no rule that was tried gives that"
    ]


class Missing(keras.metrics.Metric):
    """A metric of one's own: the probability that the right class lacks, squared, in the mean."""

    def __init__(self, name: str = "missing", **others: Any) -> None:
        super().__init__(name=name, **others)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.rows = self.add_weight(name="rows", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        right = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), y_pred.shape[-1])
        lacking = keras.ops.square(1 - keras.ops.sum(right * y_pred, -1))
        self.total.assign_add(keras.ops.sum(lacking))
        self.rows.assign_add(keras.ops.cast(keras.ops.size(lacking), "float32"))

    def result(self) -> Any:
        return self.total / self.rows


@pytest.mark.parametrize(
    ("stopped", "rule"),
    [
        (BEST + 5, None),  # its best epoch, of the other weights, and three further ones
        (BEST + 7, "monitor val_missing, mode min, patience 5, min_delta 0"),
        (BEST + 2, "monitor val_missing, mode max, patience 7, min_delta 0"),
    ],
)
def test_a_rule_on_a_metric_of_ones_own_is_followed(stopped: int, rule: str | None) -> None:
    fit, loop = run(BEST + 3, BEST), run(stopped, min(stopped, BEST + 2), best=BEST + 2)
    pair = ended(fit, loop, patience=3, monitor="val_missing", metric=Missing())
    assert not pair.findings.unexplained
    if rule is None:
        assert nothing(pair)
        assert not [look for look in pair.findings.looks if look.open]
        return
    assert named(pair) == [("early_stopping_rule", "custom_loop", None)]
    (evidence,) = pair.findings.causes[0].evidence
    assert evidence.replayed == f"{stopped} ({rule})"


def test_weights_kept_by_a_metric_of_ones_own_are_told_from_those_of_others() -> None:
    by_it = checkpoint(monitor="val_missing", mode="min")
    assert nothing(kept(BEST, BEST, by_it, Missing()))
    assert named(kept(BEST, BEST + 3, by_it, Missing())) == [
        ("early_stopping_rule", "custom_loop", None)
    ]


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_last_weights_where_the_other_side_keeps_the_best_are_named(side: str) -> None:
    last, best = run(BEST + 3, BEST + 3), run(BEST + 3, BEST)
    pair = ended(last, best) if side == "keras_fit" else ended(best, last)
    assert named(pair) == [("best_weights_not_restored", side, None)]
    evidence = pair.findings.causes[0].evidence[0]
    assert (evidence.observed, evidence.expected) == (
        "of epoch 9 of 9, the last",
        "of epoch 6 of 9",
    )


def test_where_the_last_epoch_is_the_best_both_are_the_same() -> None:
    pair = ended(run(BEST, BEST - 1), run(BEST, BEST))
    assert nothing(pair)


def checkpoint(**settings: Any) -> keras.callbacks.ModelCheckpoint:
    given = {"monitor": "val_loss", "save_best_only": True} | settings
    return keras.callbacks.ModelCheckpoint("best.keras", **given)


def kept(fit: int, loop: int, callback: Any, metric: keras.Metric | None = None) -> Pair:
    """Both train for 24 epochs, keep the weights of these, and fit was given this."""
    pair = pair_of()
    compile_with(pair, metric)
    check_losses(pair)
    pair.losses["keras_fit"].declared = next(common_losses())
    pair.fit.trace.fits[0].arguments["callbacks"] = [callback]
    test = data(12, 1)
    test.element = (test.element[0], np.ones(12, "int32"))
    runs = {"keras_fit": run(24, kept=fit), "custom_loop": run(24, kept=loop)}
    assert check_ending(pair, runs, test, lambda side: None, [])
    return pair


def test_weights_kept_by_another_figure_than_fits_are_named() -> None:
    pair = kept(BEST, BEST + 3, checkpoint())
    assert named(pair) == [("early_stopping_rule", "custom_loop", None)]
    (evidence,) = pair.findings.causes[0].evidence
    assert evidence.observed.startswith("of epoch 9 of 24, where val_loss is ")


@pytest.mark.parametrize(
    ("fit", "loop", "callback"),
    [
        (BEST, BEST, checkpoint()),
        (BEST + 3, BEST + 5, checkpoint()),
        (BEST, BEST + 3, checkpoint(monitor="val_auc", mode="max")),
        (BEST, BEST + 3, checkpoint(save_best_only=False)),
        (
            BEST,
            BEST + 3,
            keras.callbacks.EarlyStopping(patience=30, min_delta=0.1, restore_best_weights=True),
        ),
    ],
    ids=["the same", "fit not by it", "a figure not known", "not the best", "a least change"],
)
def test_weights_kept_by_what_is_not_known_are_not(fit: int, loop: int, callback: Any) -> None:
    assert not named(kept(fit, loop, callback))
