"""Which rows each side trained on, in which order and form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import (
    BATCH,
    ROWS,
    STEPS,
    Practice,
    data,
    named,
    nothing,
    pair_of,
    shuffled,
)
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.batch_matching import read_stream
from twintrain.diagnosis.stages.batches import (
    _is_sorted,
    check_change,
    check_count,
    check_order,
    check_size,
)
from twintrain.diagnosis.stages.pair import Pair

CHECKS = [check_size, check_count, check_order, check_change]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_equal_batches_name_nothing(check: Callable[[Pair], bool]) -> None:
    pair = pair_of()
    assert check(pair)
    assert nothing(pair)
    assert pair.findings.ruled_out


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_the_side_with_another_batch_size_is_named(side: str) -> None:
    big = Practice(batch=2 * BATCH)
    pair = pair_of(fit=big) if side == "keras_fit" else pair_of(loop=big)
    check_size(pair)
    assert named(pair) == [("batch_size_differs", side, 0)]
    evidence = pair.findings.causes[0].evidence[0]
    assert (evidence.observed, evidence.expected) == (str(2 * BATCH), str(BATCH))


def some_rows(count: int) -> Callable[[int, int], np.ndarray]:
    return lambda epoch, rows: shuffled(epoch, rows)[:count]


@pytest.mark.parametrize(
    ("count", "id_", "step"),
    [
        (ROWS - ROWS % BATCH, "last_batch_dropped", 4),
        (2 * BATCH, "epoch_truncated", 2),
        (ROWS - 1, "epoch_truncated", 4),
    ],
)
def test_an_epoch_that_lacks_rows_is_named(count: int, id_: str, step: int) -> None:
    pair = pair_of(loop=Practice(order=some_rows(count)))
    check_count(pair)
    assert named(pair) == [(id_, "custom_loop", step)]
    assert pair.findings.causes[0].first_visible is Stage.BATCH_COUNT
    evidence = pair.findings.causes[0].evidence[0]
    assert (evidence.observed, evidence.expected) == (str((count, count)), str((ROWS, ROWS)))


def test_of_two_sides_that_lack_rows_the_one_that_lacks_more_is_named() -> None:
    dropped, cut = some_rows(ROWS - ROWS % BATCH), some_rows(BATCH)
    pair = pair_of(fit=Practice(order=cut), loop=Practice(order=dropped))
    check_count(pair)
    assert named(pair) == [("epoch_truncated", "keras_fit", 1)]


def test_epochs_are_not_compared_where_a_side_was_stopped() -> None:
    pair = pair_of(loop=Practice(order=some_rows(BATCH)))
    pair.loop.trace.complete = False
    assert not check_count(pair)
    assert nothing(pair)
    assert "did not come to its end" in pair.findings.notes[0]
    assert pair.findings.ruled_out == set()


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_the_side_that_does_not_shuffle_is_named(side: str) -> None:
    plain = Practice(order=lambda epoch, rows: np.arange(rows))
    pair = pair_of(fit=plain) if side == "keras_fit" else pair_of(loop=plain)
    check_order(pair)
    assert named(pair) == [("shuffle_missing", side, 0)]
    assert pair.findings.causes[0].first_visible is Stage.BATCH_CONTENTS


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_the_side_that_shuffles_once_and_keeps_that_order_is_named(side: str) -> None:
    once = Practice(order=lambda epoch, rows: shuffled(0, rows))
    pair = pair_of(fit=once) if side == "keras_fit" else pair_of(loop=once)
    check_order(pair)
    # Without Dataset.shuffle() it is maybe drawn within a data set, and alike by its seed.
    assert nothing(pair)
    pair.side(side).trace.buffers = [ROWS]
    pair.fit.trace.fits[0].arguments["x"] = tf.data.Dataset.range(ROWS)
    check_order(pair)
    assert named(pair) == [("shuffle_missing", side, STEPS)]
    fix = pair.findings.causes[0].fix
    assert fix is not None
    assert "after cache()" in fix


def test_one_order_is_not_told_of_an_epoch_that_was_not_seen_whole() -> None:
    once = Practice(order=lambda epoch, rows: shuffled(0, rows))
    pair = pair_of(loop=once)
    pair.fit.trace.complete = False
    check_order(pair)
    assert nothing(pair)


def test_sides_that_both_keep_their_order_are_alike() -> None:
    one, other = (Practice(order=lambda e, rows, k=k: shuffled(k, rows)) for k in (0, 1))
    pair = pair_of(fit=one, loop=other)
    check_order(pair)
    assert nothing(pair)


def neighbours(epoch: int, rows: int) -> np.ndarray:
    """Every two rows but the first change places, over the ends of batches: a buffer of two."""
    swapped = np.arange(1, rows - 1).reshape(-1, 2)[:, ::-1].ravel()
    return np.concatenate([[0], swapped, [rows - 1]])


def test_a_small_buffer_is_named_with_its_size() -> None:
    pair = pair_of(loop=Practice(order=neighbours))
    check_order(pair)
    assert named(pair) == [("shuffle_buffer_too_small", "custom_loop", 0)]
    evidence = pair.findings.causes[0].evidence[0]
    assert evidence.observed == "1 places, as shuffle(2) does"


def whole_batches(epoch: int, rows: int) -> np.ndarray:
    """The first four batches in another order, the last one last."""
    starts = [24, 0, 16, 8]
    return np.concatenate([np.arange(s, s + BATCH) for s in starts] + [np.arange(32, rows)])


def test_batches_that_were_shuffled_instead_of_rows_are_a_small_buffer() -> None:
    pair = pair_of(loop=Practice(order=whole_batches))
    check_order(pair)
    assert named(pair) == [("shuffle_buffer_too_small", "custom_loop", 0)]


def test_rows_that_were_shuffled_before_they_came_are_shuffled_in_the_second_epoch() -> None:
    mixed = lambda epoch, rows: (shuffled if epoch else whole_batches)(epoch, rows)  # noqa: E731
    pair = pair_of(loop=Practice(order=mixed))
    check_order(pair)
    assert nothing(pair)


def noise(x: np.ndarray, epoch: int, seed: int) -> np.ndarray:
    return x + np.random.default_rng(epoch).normal(0, 0.1, x.shape).astype("float32")


def seeded_noise(x: np.ndarray, epoch: int, seed: int) -> np.ndarray:
    """In every epoch the same of the same row, but another with another seed."""
    return x + 0.1 * np.sin(1000 * x + seed, dtype="float32")


@pytest.mark.parametrize(
    ("change", "id_", "observed"),
    [
        (lambda x, epoch, seed: x / 255, "preprocessing_differs", "x' = 0.00392157 x"),
        (lambda x, epoch, seed: np.exp(x) + x, "preprocessing_differs", "by a fixed function"),
        (noise, "augmentation_one_sided", "100% of rows are not in the data"),
        (seeded_noise, "augmentation_one_sided", "100% of rows are not in the data"),
        (
            lambda x, epoch, seed: x.astype("float16").astype("float32"),
            "precision_differs",
            "rounded to float16",
        ),
    ],
    ids=["scaled", "fixed", "random", "random by the seed", "rounded"],
)
def test_changed_rows_are_named(change: object, id_: str, observed: str) -> None:
    pair = pair_of(loop=Practice(change=change))  # type: ignore[arg-type]
    check_change(pair)
    assert named(pair) == [(id_, "custom_loop", 0)]
    assert pair.findings.causes[0].first_visible is Stage.BATCH_CONTENTS
    assert observed in pair.findings.causes[0].evidence[0].observed


def test_a_change_of_few_rows_is_named() -> None:
    """The others are the data as it is."""
    largest = np.sort(np.abs(data(ROWS, 0).element[0]).max(axis=1))[-3]
    pair = pair_of(loop=Practice(change=lambda x, epoch, seed: np.clip(x, -largest, largest)))
    check_change(pair)
    assert named(pair) == [("preprocessing_differs", "custom_loop", 0)]


def test_rows_on_top_of_the_data_are_no_change_but_told() -> None:
    """All rows of the data are there, as they are."""
    pair = pair_of()
    stream, new = pair.loop.stream, np.full((1, 5), 7.0, np.float32)
    steps = pair.loop.trace.steps
    for last in (STEPS - 1, 2 * STEPS - 1):
        steps[last].inputs = tf.concat([steps[last].inputs, new], axis=0)
        steps[last].element = None
    again = read_stream(steps, pair.subject.train, STEPS)
    assert (again.change, sum(again.sizes)) == ("none", sum(stream.sizes) + 2)
    pair.loop.stream = again
    check_change(pair)
    assert nothing(pair)
    check_count(pair)
    (said,) = pair.findings.unexplained
    assert "some of them are none of these" in said


def test_the_scale_that_is_farther_from_one_is_at_fault() -> None:
    pair = pair_of(fit=Practice(change=lambda x, epoch, seed: x * 1000))
    check_change(pair)
    assert named(pair) == [("preprocessing_differs", "keras_fit", 0)]


def test_the_same_change_on_both_sides_is_no_pitfall() -> None:
    half = Practice(change=lambda x, epoch, seed: x / 2 + 1)
    pair = pair_of(fit=half, loop=half)
    check_change(pair)
    assert nothing(pair)


def test_the_epoch_of_these_traces() -> None:
    pair = pair_of()
    assert (pair.fit.first_epoch, len(pair.fit.steps)) == (STEPS, 2 * STEPS)
    assert pair.fit.stream.sizes[:STEPS] == [8, 8, 8, 8, 4]


@pytest.mark.parametrize(("grows", "found"), [(False, 1), (True, 0)])
def test_a_buffer_that_holds_only_the_rows_that_were_kept_is_small(grows: bool, found: int) -> None:
    pair = pair_of()
    pair.subject.train.cut, pair.subject.train.total = True, 5000
    pair.loop.trace.buffers = [ROWS + 4]
    again = pair_of().loop.trace
    again.buffers = [ROWS // 2 if grows else ROWS + 4]
    varied = pair.subject.varied(pair.subject.train, pair.subject.test)
    varied.run = lambda *_, **__: again  # type: ignore[method-assign]
    pair.subject.varied = lambda *_: varied  # type: ignore[method-assign]
    check_order(pair)
    assert named(pair) == [("shuffle_buffer_too_small", "custom_loop", 0)] * found
    if found:
        assert pair.findings.causes[0].evidence[0].observed == "40 rows"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 1, 2, 3], True),
        ([0, 1, 2, 0, 1, 2], True),
        ([0, 1, 2, 0, 1], True),
        ([0, 1, 2, 0, 2, 1], False),
        ([0, 2, 1, 0, 2, 1], False),
        ([0, 1, 0, 1, 2], False),
        ([2, 3, 0, 1], False),
        ([1, 0], False),
    ],
)
def test_passes_that_are_each_in_order_are_in_order(order: list[int], expected: bool) -> None:
    """What is asked for one epoch may be two calls of fit."""
    assert _is_sorted(np.array(order)) is expected
