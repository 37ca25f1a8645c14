"""Equal arrays are kept once, and only equal ones."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from twintrain.diagnosis.watch import shared_arrays
from twintrain.diagnosis.watch.shared_arrays import SMALL, shared


def ones(dtype: str = "float32") -> np.ndarray:
    return np.ones((SMALL // 4, 4), dtype)


def test_equal_ones_are_one_object_that_cannot_be_written_to() -> None:
    first = shared(ones())
    assert shared(ones()) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 2


@pytest.mark.parametrize(
    "other",
    [ones().T.copy(), ones("int32"), ones() * np.float32(1 + 2**-23), -0.0 * ones()],
    ids=["shape", "type", "last bit", "sign of zero"],
)
def test_others_are_others(other: np.ndarray) -> None:
    like = shared(0.0 * ones() if not other.any() else ones())
    found = shared(other)
    assert found is not like
    assert found.dtype == other.dtype
    np.testing.assert_array_equal(found, other)


def test_two_that_share_a_checksum_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_arrays.zlib, "crc32", lambda data: 7)
    first, second = shared(ones()), shared(2 * ones())
    assert first[0, 0] == 1
    assert second[0, 0] == 2


def test_what_nobody_keeps_is_forgotten() -> None:
    gc.collect()  # what other tests let go of
    before = len(shared_arrays._kept)
    kept = shared(3 * ones())
    assert len(shared_arrays._kept) == before + 1
    del kept
    gc.collect()
    assert len(shared_arrays._kept) == before


def test_small_and_strided_ones_are_left_alone() -> None:
    for array in (np.ones(3), np.asfortranarray(ones()), ones()[:, ::2]):
        assert shared(array) is array
        assert array.flags.writeable
