"""The user's data, held still."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis.watch import frozen_rows
from twintrain.diagnosis.watch.frozen_rows import MOST_BATCHES, Rows, as_rows, hold, keys_of

X = np.arange(60, dtype="float32").reshape(20, 3)
Y = np.arange(20)


def dataset(split: str) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def test_rows_are_those_of_the_data_in_its_order_and_batches() -> None:
    rows = hold(dataset, "train")
    assert (len(rows), rows.batch, rows.fixed, rows.cut) == (20, 8, False, False)
    assert np.array_equal(rows.part(0), X)
    assert np.array_equal(rows.part(1), Y)
    assert rows.part(2) is None
    assert [len(x) for x, _ in rows.dataset()] == [8, 8, 4]


def numbers(count: int) -> tf.data.Dataset:
    return tf.data.Dataset.range(count).map(lambda n: tf.cast(n, tf.float32)[None])


@pytest.mark.parametrize(("count", "last"), [(3000, 3), (2997, 0), (2998, 1)])
def test_long_data_is_cut_as_all_of_it_ends(count: int, last: int) -> None:
    rows = hold(lambda split: numbers(count).batch(9), "train")
    assert (rows.cut, rows.total) == (True, count)
    assert len(rows) == MOST_BATCHES * 9 + last
    assert rows.amount == f"the first {len(rows)} of {count:,} rows"


def test_data_that_just_fits_is_not_cut() -> None:
    rows = hold(lambda split: numbers((MOST_BATCHES + 1) * 9 - 1).batch(9), "train")
    assert (rows.cut, rows.total) == (False, len(rows))
    assert len(rows) == (MOST_BATCHES + 1) * 9 - 1
    assert rows.amount == "296 rows"


def test_data_whose_end_is_not_reached_ends_in_a_partial_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frozen_rows, "COUNTING_SECONDS", -1.0)
    rows = hold(lambda split: numbers(3000).batch(9), "train")
    assert (rows.cut, rows.total, len(rows)) == (True, None, MOST_BATCHES * 9 + 3)
    assert rows.amount == "the first 291 rows"


def test_more_rows_are_kept_where_they_are_asked_for() -> None:
    rows = hold(lambda split: numbers(3000).batch(9), "train", most=2000)
    assert len(rows) >= 2000
    assert (rows.cut, len(rows) % 9) == (True, 3)
    assert not hold(lambda split: numbers(3000).batch(9), "train", most=4000).cut


def test_static_batches_stay_static() -> None:
    rows = hold(lambda split: dataset(split).unbatch().batch(8, drop_remainder=True), "train")
    assert rows.fixed
    assert [len(x) for x, _ in rows.dataset()] == [8, 8]


def test_fewer_rows_with_targets_dealt_out_anew() -> None:
    rows = hold(dataset, "test")
    plain = rows.shortened(10, shuffled_targets=False)
    dealt = rows.shortened(10, shuffled_targets=True)
    assert (len(plain), plain.batch) == (10, 2)
    assert np.array_equal(plain.part(1), Y[:10])
    assert sorted(dealt.part(1)) == sorted(Y[:10])
    assert not np.array_equal(dealt.part(1), Y[:10])
    assert np.array_equal(dealt.part(0), X[:10])


def test_targets_that_are_mostly_the_same_are_made_others() -> None:
    labels = np.where(np.arange(40) < 36, 3, 1)
    for targets in (labels, np.eye(4, dtype="float32")[labels], labels[:, None].astype("float32")):
        rows = Rows((np.zeros((40, 1)), targets), 8, False, [b""] * 40)
        dealt = rows.shortened(40, shuffled_targets=True).part(1)
        assert (dealt.shape, dealt.dtype) == (targets.shape, targets.dtype)
        moved = (dealt != targets).reshape(40, -1).any(axis=1)
        assert 0.4 < moved.mean() < 0.6
        known = {row.tobytes() for row in targets}
        assert {row.tobytes() for row in dealt} == known


def test_reordered_rows_are_told_where_they_come_from() -> None:
    moved, order = hold(dataset, "train").reordered()
    assert np.array_equal(moved.part(0), X[order])
    assert not (order == np.arange(20)).any()
    assert moved.keys == [keys_of(X)[i] for i in order]


def test_rows_are_recognised_by_their_values() -> None:
    assert keys_of(X) == keys_of(tf.constant(X))
    assert len(set(keys_of(X))) == 20
    changed = X.copy()
    changed[3, 1] += 1
    assert [
        i for i, (a, b) in enumerate(zip(keys_of(X), keys_of(changed), strict=True)) if a != b
    ] == [3]


@pytest.mark.parametrize("inputs", [{"a": X, "b": X[:, :1]}, (X, X[:, :1])])
def test_a_nest_is_one_matrix(inputs: object) -> None:
    assert np.array_equal(as_rows(inputs), np.concatenate([X, X[:, :1]], axis=1))


def test_inputs_one_after_the_other_are_put_into_the_order_of_names() -> None:
    by_name = {"wide": X, "narrow": X[:, :1]}
    assert np.array_equal(as_rows([X, X[:, :1]], by_name), as_rows(by_name))
    assert np.array_equal(as_rows([X, X[:, 0]], by_name), as_rows(by_name))
    assert keys_of((X, X[:, :1]), by_name) == keys_of(by_name)
    # Where nothing goes by names, another order is another order.
    for like in (None, (X, X[:, :1]), {"other": X}):
        assert not np.array_equal(as_rows([X[:, :1], X], like), as_rows([X, X[:, :1]], like))


def test_words_are_numbers_too() -> None:
    words = np.array([[b"one"], [b"two"], [b"one"]], dtype=object)
    found = as_rows(words)
    assert found.dtype == np.float32
    assert found[0] == found[2] != found[1]


def test_inputs_alone_are_a_split() -> None:
    rows = Rows(X, 8, False, keys_of(X))
    assert np.array_equal(rows.part(0), X)
    assert rows.part(1) is None
