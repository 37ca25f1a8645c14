"""A logged series is explained by a quantity and a way of averaging it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from twintrain.diagnosis.replay.figures import (
    BATCHES,
    BY_ROWS,
    FEWER,
    LAST,
    NEVER,
    OF_RUNNING,
    PER_ROW,
    RIGHT,
    RUNNING,
    RUNNING_BATCHES,
    SUM,
    TOTAL,
    WAYS,
    Quantity,
    explanations,
    tolerance_of,
)
from twintrain.diagnosis.replay.tolerances import FIGURE

VALUES = [[1.0, 0.9, 0.5], [0.4, 0.45, 0.1]]
SIZES = [[8, 8, 4], [8, 8, 4]]


def quantity(usual: bool = True, sizes: list[list[int]] = SIZES) -> Quantity:
    epochs = [
        [np.array([v * n, n]) for v, n in zip(values, counts, strict=True)]
        for values, counts in zip(VALUES, sizes, strict=True)
    ]
    return Quantity("loss", "as it is", usual, epochs, sizes, lambda s: float(s[0] / s[1]))


@pytest.mark.parametrize(
    ("way", "series"),
    [
        (RIGHT, [(8 + 7.2 + 2) / 20, (3.2 + 3.6 + 0.4) / 20]),
        (BATCHES, [0.8, 0.95 / 3]),
        (LAST, [0.5, 0.1]),
        (RUNNING, [(8 + 7.2 + 2) / 20, (17.2 + 7.2) / 40]),
        (RUNNING_BATCHES, [0.8, (2.4 + 0.95) / 6]),
        (OF_RUNNING, [(1 + 0.95 + 0.86) / 3, (0.4 + 0.425 + 0.36) / 3]),
        (SUM, [2.4, 0.95]),
        (TOTAL, [17.2, 7.2]),
        (PER_ROW, [0.12, 0.0475]),
        (FEWER, [1.2, 0.475]),
        (NEVER, [0.0, 0.0]),
    ],
)
def test_every_way_of_averaging_is_found_again(way: str, series: list[float]) -> None:
    assert quantity().series(way) == pytest.approx(series)
    assert explanations(series, [quantity()])[0].way == way


def test_every_way_is_tried() -> None:
    assert len(WAYS) == len(set(WAYS)) == 12


def test_batches_of_one_size_have_one_mean_and_it_is_right() -> None:
    even = quantity(sizes=[[8, 8, 8], [8, 8, 8]])
    assert explanations([0.8, 0.95 / 3], [even])[0].deviations == 0


def test_a_root_is_not_averaged_over_batches() -> None:
    root = replace(quantity(), finish=lambda s: float(np.sqrt(s[0] / s[1])))
    by_rows = [
        float(np.average(np.sqrt(values), weights=sizes))
        for values, sizes in zip(VALUES, SIZES, strict=True)
    ]
    assert explanations(by_rows, [root])[0].way == BY_ROWS


def test_two_mistakes_at_once_explain_only_a_mean_over_batches() -> None:
    assert explanations([0.8, 0.95 / 3], [quantity(usual=False)])[0].deviations == 2
    assert explanations([0.5, 0.1], [quantity(usual=False)]) == []


def test_a_series_of_one_value_is_of_the_last_epoch() -> None:
    assert explanations([0.36], [quantity()])[0].way == RIGHT


def test_what_was_rounded_is_taken_as_rounded() -> None:
    assert tolerance_of([0.123, 0.4561]).floor == pytest.approx(0.5e-4)
    assert tolerance_of([0.5, 0.75]).floor == pytest.approx(0.5e-3)
    assert tolerance_of([1 / 3, 0.5]) == FIGURE
