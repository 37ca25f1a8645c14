"""Columns that give the target away are found, and those that merely help are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twintrain.data.arrays import examples
from twintrain.data.target_leak import TargetLeak, target_leaks, told_leaks, with_target_leaks

N = 1000
RNG = np.random.default_rng(0)
LATE = (RNG.random(N) < 0.3).astype(np.int64)
NOISE = RNG.normal(size=N).astype(np.float32)


def names(columns: dict[str, np.ndarray], targets: np.ndarray) -> list[str]:
    classes = targets.dtype.kind == "i"
    return [leak.column for leak in target_leaks(examples(columns, targets), classes)]


@pytest.mark.parametrize(
    ("leak", "found"),
    [
        (LATE, True),  # the target itself, as codes
        (1 - LATE, True),
        (
            LATE * 30 + RNG.random(N).astype(np.float32) * 29,
            True,
        ),  # a threshold parts them
        (RNG.integers(0, 20, N) * 2 + LATE, True),  # every code goes with one class
        (np.where(LATE == 1, NOISE + 5, 0), True),  # filled in of the late ones alone
        (np.where(RNG.random(N) < 0.15, NOISE, 0), False),  # mostly missing
        (np.repeat(np.arange(N // 2), 2), False),
        (LATE + NOISE, False),  # helps, and does not tell
        (np.where(RNG.random(N) < 0.98, LATE, 1 - LATE), False),  # tells 98 %
        (np.arange(N), False),  # names each example
        (np.zeros(N, np.int64), False),
        (NOISE, False),
    ],
    ids=[
        *("copy", "opposite", "minutes", "codes", "filled in", "missing", "pairs", "helps"),
        *("98 %", "id", "constant", "noise"),
    ],
)
def test_of_classes(leak: np.ndarray, found: bool) -> None:
    if leak.dtype.kind == "f":
        leak = leak.astype(np.float32)
    assert names({"a": NOISE, "leak": leak}, LATE) == (["'leak'"] if found else [])


def test_several_classes_parted_by_thresholds() -> None:
    classes = RNG.integers(0, 4, N)
    score = (classes + RNG.random(N) * 0.9).astype(np.float32)
    assert names({"score": score}, classes) == ["'score'"]


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda y: 3 - 2 * y, True),
        (lambda y: np.log(y + 9), True),
        (lambda y: y + 0.1 * NOISE, False),
        (lambda y: NOISE, False),
    ],
    ids=["scaled", "logarithm", "near", "noise"],
)
def test_of_numbers(make: object, found: bool) -> None:
    target = RNG.normal(size=N).astype(np.float32)
    column = make(target).astype(np.float32)  # type: ignore[operator]
    assert names({"leak": column}, target) == (["'leak'"] if found else [])


def test_a_feature_of_a_row_of_numbers_is_named_by_its_place() -> None:
    rows = RNG.normal(size=(N, 5)).astype(np.float32)
    rows[:, 3] = LATE
    assert names({"rows": rows}, LATE) == ["feature 3 of 'rows'"]


def test_images_sequences_and_few_examples_are_not_looked_at() -> None:
    assert target_leaks(examples(RNG.random((N, 8, 8, 1)).astype(np.float32), LATE), True) == []
    words = np.repeat(LATE[:, None], 12, axis=1)
    assert names({"words": words}, LATE) == []
    assert names({"copy": LATE[:50]}, LATE[:50]) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.floats(0.02, 0.5))
def test_chance_alone_is_never_accused(seed: int, values: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    target = (rng.random(400) < share).astype(np.int64)
    columns = {
        "code": rng.integers(0, values, 400),
        "many": rng.integers(0, 80, 400),
        "number": rng.normal(size=400).astype(np.float32),
        "mostly": np.where(rng.random(400) < share, rng.normal(size=400), 0).astype(np.float32),
    }
    assert names(columns, target) == []


def test_it_is_told_in_a_sentence() -> None:
    (leak,) = target_leaks(examples({"minutes": LATE}, LATE), True)
    assert leak == TargetLeak(column="'minutes'", figure=1.0, classes=True)
    data = with_target_leaks({"train": {"examples": N}, "eval": {}}, [leak])
    (text,) = told_leaks(data)
    assert text.startswith("Input 'minutes' alone tells the class of 100.0% of the training")
    assert told_leaks({"train": {"examples": N}, "eval": {}}) == []
    almost = TargetLeak(column="'x'", figure=0.99996, classes=True)
    assert "of 99.9% of" in almost.text


def test_what_happens_in_few_examples_tells_nothing() -> None:
    """Zeros of one class, and amounts of which none occurs twice."""
    rng = np.random.default_rng(1)
    zero = rng.random(N) < 0.85
    amount = np.where(zero, 0, rng.random(N)).astype(np.float32)
    assert names({"amount": amount}, np.where(zero, 0, rng.integers(0, 2, N))) == []


def test_where_there_are_as_many_classes_as_examples_nothing_is_told() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=150).astype(np.float32)
    assert names({"noise": noise}, rng.integers(0, 100, 150)) == []


def test_of_several_labels_the_one_that_is_given_away_is_named() -> None:
    has = np.stack([LATE, RNG.integers(0, 2, N)], axis=1)
    columns = {"minutes": LATE.astype(np.float32), "noise": RNG.random(N).astype(np.float32)}
    (leak,) = target_leaks(examples(columns, has), False, ("late", "cancelled"))
    assert (leak.column, leak.label) == ("'minutes'", "late")
    assert leak.text.startswith("Input 'minutes' alone tells 'late' of 100.0% of the training")
    assert target_leaks(examples(columns, has), False) == []
