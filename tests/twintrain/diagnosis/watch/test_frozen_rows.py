"""The user's data, held still."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

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


def test_long_data_is_cut_within_a_batch() -> None:
    long = tf.data.Dataset.range(3000).map(lambda n: tf.cast(n, tf.float32)[None]).batch(9)
    rows = hold(lambda split: long, "train")
    assert rows.cut
    assert MOST_BATCHES * 9 < len(rows) < (MOST_BATCHES + 1) * 9
    assert len(rows) % 9 != 0
    assert len(hold(lambda split: long, "train", most=2000)) >= 2000


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


def test_words_are_numbers_too() -> None:
    words = np.array([[b"one"], [b"two"], [b"one"]], dtype=object)
    found = as_rows(words)
    assert found.dtype == np.float32
    assert found[0] == found[2] != found[1]


def test_inputs_alone_are_a_split() -> None:
    rows = Rows(X, 8, False, keys_of(X))
    assert np.array_equal(rows.part(0), X)
    assert rows.part(1) is None
