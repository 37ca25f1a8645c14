"""Does each input come with its own target?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import named, nothing, pair_of
from twintrain.diagnosis.replay.batch_matching import true_parts
from twintrain.diagnosis.stages.batches import check_count
from twintrain.diagnosis.stages.targets import check_targets
from twintrain.diagnosis.watch.trace import Step, Trace

Change = Callable[[Any], Any]


def as_one_hot(y: Any) -> Any:
    return keras.ops.one_hot(y, 3)


def of_the_row_before(y: Any) -> Any:
    return np.roll(y, 1)


def called_with(step: Step, change: Change) -> None:
    step.losses[0].targets = change(step.element[1])


def pulled(step: Step, change: Change) -> None:
    x, y, *rest = step.element
    step.element = (x, change(y), *rest)


def planted(side: str, change: Change, how: Callable[[Step, Change], None]) -> Any:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in (fit if side == "keras_fit" else loop).steps:
            how(step, change)

    return plant


def test_targets_of_their_own_name_nothing() -> None:
    pair = pair_of()
    assert check_targets(pair)
    assert nothing(pair)
    assert pair.findings.ruled_out == {"targets_misaligned"}


def test_an_encoding_of_their_own_targets_names_nothing() -> None:
    pair = pair_of(plant=planted("custom_loop", as_one_hot, called_with))
    assert check_targets(pair)
    assert nothing(pair)


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
@pytest.mark.parametrize("how", [called_with, pulled])
def test_the_side_whose_targets_are_those_of_other_rows_is_named(
    side: str, how: Callable[[Step, Change], None]
) -> None:
    pair = pair_of(plant=planted(side, of_the_row_before, how))
    check_targets(pair)
    assert named(pair) == [("targets_misaligned", side, 0)]
    (evidence,) = pair.findings.causes[0].evidence
    assert evidence.kind == "reading"
    assert "of 72: row " in evidence.observed
    assert ", of target " in evidence.observed
    assert evidence.expected == "0 of 72"


def test_an_encoding_of_other_rows_targets_is_named() -> None:
    change = lambda y: as_one_hot(of_the_row_before(y))  # noqa: E731
    pair = pair_of(plant=planted("custom_loop", change, called_with))
    check_targets(pair)
    assert named(pair) == [("targets_misaligned", "custom_loop", 0)]


def test_losses_are_replayed_with_the_targets_that_were_fed() -> None:
    pair = pair_of(plant=planted("custom_loop", of_the_row_before, pulled))
    check_targets(pair)
    step, rows = pair.loop.steps[0], pair.loop.stream.rows[0]
    fed, _ = true_parts(step, rows, pair.subject.train)
    assert np.array_equal(fed, step.element[1])
    own, _ = true_parts(pair.fit.steps[0], rows, pair.subject.train)
    assert not np.array_equal(own, fed)


def test_weights_of_other_rows_are_named() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            x, y, w = step.element
            step.element = (x, y, np.roll(w, 1))

    pair = pair_of(weighted=True, plant=plant)
    check_targets(pair)
    assert named(pair) == [("targets_misaligned", "custom_loop", 0)]
    (evidence,) = pair.findings.causes[0].evidence
    assert "'s input came with row " in evidence.observed
    assert evidence.observed.count("'s sample weight") == 3


def test_a_mistake_of_both_sides_is_no_difference() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in [*fit.steps, *loop.steps]:
            pulled(step, of_the_row_before)

    pair = pair_of(plant=plant)
    check_targets(pair)
    assert nothing(pair)
    assert "Both sides" in pair.findings.notes[0]


def test_a_row_that_a_shift_leaves_without_target_is_no_cut_epoch() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        for step in loop.steps:
            pulled(step, of_the_row_before)

    pair = pair_of(plant=plant)
    check_targets(pair)
    for number in (4, 9):
        pair.loop.stream.sizes[number] -= 1
    check_count(pair)
    assert [id_ for id_, _, _ in named(pair)] == ["targets_misaligned"]


def both_ways(step: Step, change: Change) -> None:
    called_with(step, change)
    pulled(step, change)


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_targets_that_change_on_one_side_alone_are_told_where_they_are_no_rows(side: str) -> None:
    draw = np.random.default_rng(0)

    def noise(y: Any) -> Any:
        return draw.normal(size=(len(y), 2)).astype("float32")

    pair = pair_of(plant=planted(side, noise, both_ways))
    check_targets(pair)
    (told,) = pair.findings.unexplained
    assert told.startswith(f"{side}: inputs come with other targets in each epoch")
    for step in pair.other(side).steps:
        both_ways(step, noise)
    pair.findings.unexplained.clear()
    check_targets(pair)
    assert nothing(pair)


def test_targets_that_are_the_same_in_each_epoch_are_their_own_whatever_they_are() -> None:
    def made_of_them(y: Any) -> Any:
        return np.stack([np.sin(y), np.zeros(len(y))], axis=1)

    pair = pair_of(plant=planted("custom_loop", made_of_them, both_ways))
    check_targets(pair)
    assert nothing(pair)
