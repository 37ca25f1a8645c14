from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.conftest import mnist_store
from twintrain.data.example_store import build_store
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
    assert store.inputs.dtype == np.uint8
    assert store.palette is not None


@pytest.mark.parametrize("limit", [1, 1 << 30])
def test_more_than_256_values_are_held_as_floats(limit: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 9, (20, 4, 4, 1)).astype(np.float32)  # fits in bytes, and comes first
    fine = rng.normal(size=(20, 4, 4, 1)).astype(np.float32)
    chunks = [(coarse, np.zeros(20, np.int64), ids(20)), (fine, np.ones(20, np.int64), ids(20, 20))]
    store = build_store(chunks, limit)
    assert store.palette is None
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
