from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.conftest import mnist_store
from twintrain.data.columns import BARE
from twintrain.data.example_spec import WEIGHT
from twintrain.data.example_store import Chunk, build_store
from twintrain.errors import TwintrainError


def ids(count: int, start: int = 0) -> np.ndarray:
    return np.array([f"{i:06d}" for i in range(start, start + count)], np.bytes_)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.float32, (6, 3, 2, 1), elements=st.floats(width=32)),
    st.integers(1, 5),
    st.booleans(),
    st.randoms(),
)
def test_every_float_comes_back_bit_for_bit(
    images: np.ndarray, cut: int, spool: bool, random: object
) -> None:
    labels = np.arange(6)
    order = np.array(random.sample(range(6), 6))  # type: ignore[attr-defined]
    chunks = [(images[part], labels[part], ids(6)[part]) for part in (order[:cut], order[cut:])]
    store = build_store(chunks, 1 if spool else 1 << 20)
    assert store.in_memory != spool
    np.testing.assert_array_equal(store.targets, labels)
    np.testing.assert_array_equal(
        store.values(np.arange(6)).view(np.uint32), images.view(np.uint32)
    )


def test_scaled_bytes_are_held_as_bytes() -> None:
    store = mnist_store("train", 50)
    assert store.columns[BARE].held.dtype == np.uint8
    assert store.columns[BARE].palette is not None


@pytest.mark.parametrize("limit", [1, 1 << 30])
def test_more_than_256_values_are_held_as_floats(limit: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 9, (20, 4, 4, 1)).astype(np.float32)  # fits in bytes, and comes first
    fine = rng.normal(size=(20, 4, 4, 1)).astype(np.float32)
    chunks = [(coarse, np.zeros(20, np.int64), ids(20)), (fine, np.ones(20, np.int64), ids(20, 20))]
    store = build_store(chunks, limit)
    assert store.columns[BARE].palette is None
    np.testing.assert_array_equal(store.values(np.arange(40)), np.concatenate([coarse, fine]))


def test_the_digest_depends_on_content_and_not_on_the_path_taken() -> None:
    assert mnist_store("train", 60).digest == mnist_store("train", 60, memory_limit=10).digest
    assert mnist_store("train", 60).digest != mnist_store("train", 61).digest


@pytest.mark.parametrize("limit", [10, 1 << 30])
def test_a_subset_stays_where_its_store_is(limit: int) -> None:
    store = mnist_store("train", 60, memory_limit=limit)
    chosen = np.array([5, 3, 59])
    part = store.subset(chosen)
    assert part.in_memory == store.in_memory
    np.testing.assert_array_equal(part.values(np.arange(3)), store.values(chosen))
    assert part.ids.tolist() == store.ids[chosen].tolist()


def test_repeated_ids_and_no_examples_are_refused() -> None:
    chunk = (
        np.zeros((2, 1, 1, 1), np.float32),
        np.zeros(2, np.int64),
        np.array([b"same", b"same"]),
    )
    with pytest.raises(TwintrainError, match="Two examples have the id 'same'"):
        build_store([chunk], 100)
    with pytest.raises(TwintrainError, match="no examples"):
        build_store([], 100)


@pytest.mark.parametrize("limit", [1, 1 << 30])
def test_named_columns_come_back_in_their_types_on_both_paths(limit: int) -> None:
    rng = np.random.default_rng(3)
    columns = {
        "words": rng.integers(0, 500, (30, 7)),
        "age": rng.normal(size=30).astype(np.float32),
        "flag": rng.integers(0, 2, (30, 2)).astype(np.float32),
    }
    order = rng.permutation(30)
    parts = [
        ({name: values[rows] for name, values in columns.items()}, rows, ids(30)[rows])
        for rows in np.array_split(order, 4)
    ]
    store = build_store(parts, limit)
    assert store.in_memory == (limit > 1)
    chosen = np.array([29, 3, 3])
    for part in (store, store.subset(np.arange(30))):
        found = part.values(chosen)
        assert isinstance(found, dict)
        assert list(found) == ["age", "flag", "words"]
        for name, values in columns.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values[chosen])
    assert store.columns["flag"].held.dtype == np.uint8
    with pytest.raises(TwintrainError, match="3 named columns"):
        _ = store.shape


def test_a_column_under_another_name_is_another_digest() -> None:
    ages, targets = np.arange(5, dtype=np.float32), np.arange(5)
    one, other = (build_store([({name: ages}, targets, ids(5))], 1 << 20) for name in ("a", "b"))
    assert one.digest != other.digest


def weighted_chunk(ids: list[bytes], weights: list[float]) -> Chunk:
    columns = {"x": np.arange(len(ids)), WEIGHT: np.array(weights, np.float32)}
    return columns, np.zeros(len(ids), np.int64), np.array(ids)


@pytest.mark.parametrize("limit", [1, 1 << 30])
def test_weights_follow_their_examples_and_are_no_column(limit: int) -> None:
    chunks = [weighted_chunk([b"c", b"a"], [3, 1]), weighted_chunk([b"b"], [0])]
    store = build_store(chunks, limit)
    assert set(store.columns) == {"x"}
    assert store.weights is not None
    assert store.weights.tolist() == [1, 0, 3]
    part = store.subset(np.array([2, 0])).weights
    assert part is not None
    assert part.tolist() == [3, 1]
    other = build_store([weighted_chunk([b"a", b"b", b"c"], [1, 0, 2])], limit)
    assert other.digest != store.digest


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1, float("nan")], "1 of 2 examples have no weight of 0 or more: b is the first"),
        ([-1, 2], "a is the first, with -1"),
        ([float("inf"), 2], "a is the first, with inf"),
        ([0, 0], "All 2 examples have the weight 0"),
    ],
)
def test_weights_that_weigh_nothing_are_refused(weights: list[float], said: str) -> None:
    with pytest.raises(TwintrainError, match=said):
        build_store([weighted_chunk([b"a", b"b"], weights)], 100)
