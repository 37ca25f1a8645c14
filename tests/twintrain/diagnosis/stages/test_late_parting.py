"""Why sides part after the epochs that are watched step by step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import Practice, data, named, nothing, pair_of, small_model
from twintrain.diagnosis.replay.common_losses import common_losses
from twintrain.diagnosis.replay.early_stopping import read_ending
from twintrain.diagnosis.replay.losses import LossReading
from twintrain.diagnosis.replay.parting import Parting
from twintrain.diagnosis.stages.late_parting import LateRuns, _replayed, check_late_parting
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, LOOP, snapshot

EPOCHS, PARTED = 6, 5


@pytest.fixture(scope="module")
def plain() -> Pair:
    made = pair_of(Practice(), Practice())
    check_losses(made)
    assert isinstance(made.losses[FIT], LossReading)
    made.losses[FIT].declared = next(common_losses())
    return made


@pytest.fixture
def pair(plain: Pair) -> Pair:
    """One on which nothing was found yet."""
    plain.findings.causes.clear()
    plain.findings.unexplained.clear()
    plain.fit.trace.fits[0].arguments.clear()
    return plain


def run(rates: list[Any], still: dict[int, set[int]] | None = None) -> Milestones:
    """A training with these rates in its epochs, in which some variables stay in an epoch."""
    model = small_model()
    made = Milestones(model)
    made.states = [snapshot(model)]
    for epoch in range(1, EPOCHS + 1):
        stay = (still or {}).get(epoch, set())
        last = made.states[-1]
        made.states.append([value + 0.1 * (k not in stay) for k, value in enumerate(last)])
    made.rates = [rate if isinstance(rate, tuple) else (rate,) for rate in [*rates, rates[-1]]]
    return made


def look(pair: Pair, fit: Milestones, loop: Milestones, shortened: bool = False) -> list[Any]:
    late = LateRuns({FIT: fit, LOOP: loop}, Parting(PARTED, 0.1, 1.0), data(12, 1), shortened)
    assert check_late_parting(pair, late)
    return named(pair)


STEADY = [0.1] * EPOCHS
FALLS = [0.1] * 4 + [0.05] * 2  # from epoch 5 on
FARTHER = [0.1] * 4 + [0.01] * 2


@pytest.mark.parametrize(
    ("fit", "loop", "side"),
    [(FALLS, STEADY, LOOP), (STEADY, FALLS, FIT), (FALLS, FARTHER, LOOP)],
)
def test_a_rate_that_one_side_changes_is_named(
    fit: list[float], loop: list[float], side: str, pair: Pair
) -> None:
    """Of a side that changes none it is: the other one has a schedule."""
    assert look(pair, run(fit), run(loop)) == [("learning_rate_schedule", side, None)]
    (cause,) = pair.findings.causes
    assert cause.fix is not None
    assert "in epoch 5" in cause.fix


def test_less_data_than_there_is_may_be_why_a_rate_stays(pair: Pair) -> None:
    """It may change after so many steps."""
    assert look(pair, run(FALLS), run(STEADY), shortened=True) == []
    (said,) = pair.findings.unexplained
    assert said == "in epoch 5 the learning rate is 0.05 in keras_fit and 0.1 in custom_loop"
    counts = run(FARTHER)
    counts.scheduled = True
    assert look(pair, run(FALLS), counts, shortened=True) == []
    assert look(pair, run(FALLS), run(FARTHER), shortened=True) != []


@pytest.mark.parametrize("loop", [STEADY, [0.1] * 3 + [0.05] * 3])
def test_a_rate_that_differs_only_elsewhere_is_not_named(loop: list[float], pair: Pair) -> None:
    """Before the sides part it cannot be the cause, and after that it may be a consequence."""
    other = FALLS if loop is not STEADY else [0.1] * 5 + [0.05]
    look(pair, run(other), run(loop))
    assert nothing(pair)


def test_a_rate_that_may_have_been_read_too_early_is_not_named(pair: Pair) -> None:
    look(pair, run(FALLS), run([0.1] * 5 + [0.05]))
    assert nothing(pair)


def test_a_rate_that_only_once_is_the_others_of_the_epoch_before_is_named(pair: Pair) -> None:
    """A rate that falls by a power that grows comes by the other's."""
    fit = [0.1, 0.1, 0.1, 0.1, 0.05, 0.01]
    assert look(pair, run(fit), run([0.1] * 4 + [0.07, 0.05])) != []


def scheduled(boundaries: list[int], updates: int = 10 * EPOCHS) -> Milestones:
    """Ten updates in an epoch; the rates at the beginning of each do not show the boundaries."""
    made = run(STEADY)
    made.schedule = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, [0.1, 0.01])
    made.scheduled, made.updates = True, updates
    return made


def test_schedules_that_part_within_the_epoch_are_named(pair: Pair) -> None:
    """From update 46 on; update 47 is the first with a lower rate by the other's."""
    assert look(pair, scheduled([45]), scheduled([44])) == [("learning_rate_schedule", LOOP, None)]
    (cause,) = pair.findings.causes
    assert cause.evidence[0].quantity == "learning rate of update 46 of 60"
    assert cause.evidence[0].observed == "0.01"


@pytest.mark.parametrize(
    ("loop", "shortened"),
    [(scheduled([44]), True), (scheduled([30]), False), (scheduled([44], 59), False)],
    ids=["less data", "in an epoch before", "other updates"],
)
def test_schedules_that_do_not_explain_it_are_not_named(
    loop: Milestones, shortened: bool, pair: Pair
) -> None:
    assert look(pair, scheduled([45]), loop, shortened) == []


def test_an_optimizer_that_is_made_anew_is_no_schedule(pair: Pair) -> None:
    anew = [(0.1,)] * 5 + [(0.1, 0.05)]
    look(pair, run(FALLS), run(anew))
    look(pair, run([(0.1,)] * 5 + [(0.1, 0.01)]), run(STEADY))
    assert nothing(pair)


def test_nothing_is_told_of_the_epochs_that_are_watched(pair: Pair) -> None:
    late = LateRuns({FIT: run(FALLS), LOOP: run(STEADY)}, Parting(2, 0.1, 1.0), None, False)
    assert not check_late_parting(pair, late)
    assert nothing(pair)


def plateau(**settings: Any) -> keras.callbacks.ReduceLROnPlateau:
    return keras.callbacks.ReduceLROnPlateau(**{"factor": 0.5, "patience": 2} | settings)


def test_a_plateaus_rule_is_replayed() -> None:
    values = [1.0, 0.9, 0.95, 0.96, 0.97, 0.98]
    assert _replayed(plateau(), values, 0.1) == [0.1, 0.1, 0.1, 0.05, 0.05, 0.025]
    assert _replayed(plateau(monitor="val_accuracy", min_delta=0.0), values, 0.1)[2] == 0.05


def wanders() -> Milestones:
    """A training whose figures go up and down."""
    made = run(STEADY)
    draw = np.random.default_rng(1)
    made.states = [
        [value + draw.normal(0, 0.3, value.shape).astype("float32") for value in state]
        for state in made.states
    ]
    return made


def by_rule(rule: keras.callbacks.ReduceLROnPlateau, rows: Rows) -> list[float]:
    """The rate of each epoch, where a rule goes by the loss on these rows."""
    ending = read_ending(wanders(), rows, next(common_losses()))
    assert ending is not None
    return [0.1, *_replayed(rule, ending.series["val_loss"], 0.1)]


def with_rates(rates: list[float]) -> Milestones:
    made = wanders()
    made.rates = [(rate,) for rate in rates]
    return made


def test_a_loop_that_follows_fits_plateau_on_no_figures_is_named(pair: Pair) -> None:
    rule = plateau(patience=1)
    pair.fit.trace.fits[0].arguments["callbacks"] = [rule]
    fit = by_rule(rule, data(12, 1))
    assert fit[PARTED] < 0.1
    loop = [*fit[: PARTED - 1], *(rate / 10 for rate in fit[PARTED - 1 :])]
    assert look(pair, with_rates(fit), with_rates(loop)) == [("learning_rate_schedule", LOOP, None)]
    (cause,) = pair.findings.causes
    assert cause.fix is not None
    assert "by its ReduceLROnPlateau" in cause.fix


def test_a_loop_that_follows_it_on_rows_of_its_own_is_not_named(pair: Pair) -> None:
    rule = plateau(patience=1)
    pair.fit.trace.fits[0].arguments["callbacks"] = [rule]
    fit = by_rule(rule, data(12, 1))
    for seed in range(2, 60):  # rows on which the rule parts where it is wanted
        own = data(12, seed)
        loop = by_rule(rule, own)
        if loop[1 : PARTED - 1] == fit[1 : PARTED - 1] and loop[PARTED - 1] != fit[PARTED - 1]:
            break
    pair.subject.own_test = lambda: own  # type: ignore[method-assign]
    try:
        assert look(pair, with_rates(fit), with_rates(loop)) == []
    finally:
        del pair.subject.own_test
    assert loop[PARTED - 1] != fit[PARTED - 1]


def test_of_callbacks_of_ones_own_nothing_is_known(pair: Pair) -> None:
    class Own(keras.callbacks.Callback):
        pass

    pair.fit.trace.fits[0].arguments["callbacks"] = [Own()]
    assert look(pair, run(FALLS), run(FARTHER)) == []
    assert len(pair.findings.unexplained) == 1


@pytest.mark.parametrize(
    ("fit", "loop"), [({5: {0, 1}}, {}), ({}, {5: {0, 1}}), ({5: {0}}, {5: {1}})]
)
def test_variables_that_one_side_freezes_late_are_named(
    fit: dict[int, set[int]], loop: dict[int, set[int]], pair: Pair
) -> None:
    found = look(pair, run(STEADY, still=fit), run(STEADY, still=loop))
    assert found == [("trainable_flags", LOOP, None)]
    (cause,) = pair.findings.causes
    assert "dense" in str(cause.evidence[0].observed)


def test_variables_that_both_freeze_are_not_named(pair: Pair) -> None:
    frozen = {4: {0, 1}, 5: {0, 1}}
    look(pair, run(STEADY, still=frozen), run(STEADY, still=frozen))
    look(pair, run(STEADY, still={3: {0}}), run(STEADY, still={5: {0}}))  # they differ before
    look(pair, run([0.1] * 4 + [0.0] * 2, still={5: {0}}), run([0.1] * 5 + [0.0]))
    assert not pair.findings.causes


def test_rates_of_fit_are_read_where_an_epoch_begins() -> None:
    model, optimizer = small_model(), keras.optimizers.SGD(0.1)
    x, y = np.ones((8, 5), "float32"), np.zeros(8, "int32")
    model.compile(optimizer, "sparse_categorical_crossentropy")
    change = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.1 / (1 + epoch))
    seen = Milestones(model)
    with seen.on():
        model.fit(x, y, epochs=3, validation_data=(x, y), callbacks=[change], verbose=0)
    seen.end(None)
    assert seen.epochs == 3
    assert [pytest.approx(rate[0]) for rate in seen.rates[1:3]] == [0.05, 0.1 / 3]
    assert not seen.scheduled


def test_a_rate_that_only_the_users_code_tells_is_not_asked_for() -> None:
    asked = []

    def rate() -> float:
        asked.append(1)
        return 0.1

    model = small_model()
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", run_eagerly=True)
    seen = Milestones(model)
    with seen.on():
        model.fit(np.ones((8, 5), "float32"), np.zeros(8, "int32"), epochs=2, verbose=0)
    seen.end(None)
    assert set(seen.rates) == {()}
