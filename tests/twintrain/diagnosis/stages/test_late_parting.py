"""Why sides part after the epochs that are watched step by step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import Practice, named, nothing, pair_of, small_model
from twintrain.diagnosis.replay.parting import Parting
from twintrain.diagnosis.stages.late_parting import check_late_parting
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import FIT, LOOP, snapshot

EPOCHS, PARTED = 6, 5


@pytest.fixture(scope="module")
def plain() -> Pair:
    return pair_of(Practice(), Practice())


@pytest.fixture
def pair(plain: Pair) -> Pair:
    """One on which nothing was found yet."""
    plain.findings.causes.clear()
    return plain


def run(
    rates: list[float], begun: bool = True, still: dict[int, set[int]] | None = None
) -> Milestones:
    """A training with these rates in its epochs, in which some variables stay in an epoch."""
    model = small_model()
    made = Milestones(model)
    start = snapshot(model)
    made.states = [start]
    for epoch in range(1, EPOCHS + 1):
        stay = (still or {}).get(epoch, set())
        last = made.states[-1]
        made.states.append([value + (k not in stay) for k, value in enumerate(last)])
    made.rates = [(), *[(rate,) for rate in rates[1:]], (rates[-1],)]
    made.begun = [begun] * (EPOCHS + 1)
    return made


def look(pair: Pair, fit: Milestones, loop: Milestones, epoch: int = PARTED) -> list[Any]:
    assert check_late_parting(pair, {FIT: fit, LOOP: loop}, Parting(epoch, 0.1, 1.0))
    return named(pair)


STEADY = [0.1] * EPOCHS
FALLS = [0.1] * 4 + [0.05] * 2  # from epoch 5 on


@pytest.mark.parametrize(
    ("fit", "loop", "side"),
    [
        (FALLS, STEADY, LOOP),
        (STEADY, FALLS, LOOP),  # held against fit, which has none
        (FALLS, [0.1] * 4 + [0.01] * 2, LOOP),
    ],
)
def test_a_rate_that_one_side_changes_is_named(
    fit: list[float], loop: list[float], side: str, pair: Pair
) -> None:
    found = look(pair, run(fit), run(loop))
    if fit == STEADY:
        side = FIT  # it does not change where the loop does
    assert found == [("learning_rate_schedule", side, None)]
    (cause,) = pair.findings.causes
    assert cause.fix is not None
    assert "in epoch 5" in cause.fix


@pytest.mark.parametrize("loop", [STEADY, [0.1] * 3 + [0.05] * 3])
def test_a_rate_that_differs_only_elsewhere_is_not_named(loop: list[float], pair: Pair) -> None:
    """Before the sides part it cannot be the cause, and after that it may be a consequence."""
    other = FALLS if loop is not STEADY else [0.1] * 5 + [0.05]
    look(pair, run(other), run(loop))
    assert nothing(pair)


def test_a_rate_that_may_have_been_read_too_early_is_not_named(pair: Pair) -> None:
    late = [0.1] * 5 + [0.05]
    look(pair, run(FALLS), run(late, begun=False))
    assert nothing(pair)
    assert look(pair, run(FALLS), run(late)) == [("learning_rate_schedule", LOOP, None)]


def test_nothing_is_told_of_the_epochs_that_are_watched(pair: Pair) -> None:
    runs = {FIT: run(FALLS), LOOP: run(STEADY)}
    assert not check_late_parting(pair, runs, Parting(2, 0.1, 1.0))
    assert not check_late_parting(pair, runs, None)
    assert nothing(pair)


def test_fits_own_callback_is_named(pair: Pair) -> None:
    plateau = keras.callbacks.ReduceLROnPlateau()
    pair.fit.trace.fits[0].arguments["callbacks"] = [plateau]
    try:
        look(pair, run(FALLS), run(STEADY))
    finally:
        pair.fit.trace.fits[0].arguments.clear()
    (cause,) = pair.findings.causes
    assert cause.fix is not None
    assert "by its ReduceLROnPlateau" in cause.fix


@pytest.mark.parametrize(
    ("fit", "loop", "side"),
    [({5: {0, 1}}, {}, LOOP), ({}, {5: {0, 1}}, FIT), ({5: {0}}, {5: {1}}, LOOP)],
)
def test_variables_that_one_side_freezes_late_are_named(
    fit: dict[int, set[int]], loop: dict[int, set[int]], side: str, pair: Pair
) -> None:
    found = look(pair, run(STEADY, still=fit), run(STEADY, still=loop))
    assert found == [("trainable_flags", side, None)]
    (cause,) = pair.findings.causes
    assert "dense" in str(cause.evidence[0].observed)


def test_variables_that_both_freeze_are_not_named(pair: Pair) -> None:
    frozen = {4: {0, 1}, 5: {0, 1}}
    look(pair, run(STEADY, still=frozen), run(STEADY, still=frozen))
    look(pair, run(STEADY, still={3: {0}}), run(STEADY, still={5: {0}}))  # they differ before
    assert nothing(pair)


def test_rates_are_read_where_an_epoch_begins() -> None:
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
    assert seen.begun == [True, True, True, False] or seen.begun == [True] * 4
