from __future__ import annotations

import os
import tempfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corruption import corrupted
from tests.odd_inputs import NEARLY_RIGHT
from twintrain.errors import TwintrainError
from twintrain.training import kept_arrays
from twintrain.training.kept_arrays import DamagedError, digest_of, forget, generations, read, write

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "count": np.array(7),
    "text": np.array('{"a": 1}'),
}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return set(one) == set(other) and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name])
        for name in one
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.npz"


def test_the_newest_and_the_one_before_it_are_kept(path: Path) -> None:
    for count in range(4):
        write(path, ARRAYS | {"count": np.array(count)})
    newest, before = generations(path)
    assert read(newest)["count"] == 3
    assert read(before)["count"] == 2
    assert same(read(path), ARRAYS | {"count": np.array(3)})
    assert sorted(path.parent.iterdir()) == [newest, before]
    forget(path)
    assert list(path.parent.iterdir()) == []


def test_a_writer_that_fails_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, ARRAYS)
    monkeypatch.setattr(np, "savez", _full)
    with pytest.raises(OSError, match="No space"):
        write(path, ARRAYS)
    assert same(read(path), ARRAYS)


def _full(*_: object, **__: object) -> None:
    raise OSError(28, os.strerror(28))


def test_without_links_the_one_before_is_kept_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_arrays.os, "link", _full)
    for count in range(3):
        write(path, {"count": np.array(count)})
    assert [int(read(one)["count"]) for one in generations(path)] == [2, 1]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a file as it is written."""
    path = tmp_path_factory.mktemp("kept") / "state.npz"
    write(path, ARRAYS)
    return path.read_bytes()


@NEARLY_RIGHT
@given(random=st.randoms())
def test_no_change_of_the_bytes_goes_unseen(content: bytes, random: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        path.write_bytes(corrupted(content, random))
        try:
            found = read(path)
        except DamagedError:
            return
    assert same(found, ARRAYS)  # what was changed was no content: a date of the archive


@pytest.mark.parametrize(
    "changed",
    [
        {"weight": ARRAYS["weight"] + np.float32(1e-7)},
        {"weight": ARRAYS["weight"].reshape(3, 2)},
        {"weight": ARRAYS["weight"].astype(np.float64)},
        {"more": np.array(1)},
    ],
)
def test_a_valid_file_of_other_content_is_damaged(
    path: Path, changed: dict[str, np.ndarray]
) -> None:
    with path.open("wb") as file:
        np.savez(file, digest=np.array(digest_of(ARRAYS)), **(ARRAYS | changed))
    with pytest.raises(DamagedError, match="its content is not what was written"):
        read(path)


def test_one_without_a_digest_is_damaged(path: Path) -> None:
    np.savez(path, **ARRAYS)
    with pytest.raises(DamagedError, match="digest"):
        read(path)


def test_a_file_that_may_not_be_read_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    write(path, ARRAYS)
    monkeypatch.setattr(np, "load", refused)  # root may read anything
    with pytest.raises(TwintrainError, match="cannot be read: Permission denied"):
        read(path)
