"""Large arrays are read from files from then on, and are what they were."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import weakref
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from twintrain.diagnosis.watch import on_disk as module
from twintrain.diagnosis.watch.on_disk import LARGE, let_go, on_disk


@pytest.fixture(autouse=True)
def files_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_files", [])
    yield
    gc.collect()


def is_mapped(array: np.ndarray) -> bool:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.base is not None


def large(dtype: object = np.float32, factor: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(7, factor * LARGE // 4))
    return drawn.astype(dtype)


@pytest.mark.parametrize(
    "array",
    [
        large(),
        large(ml_dtypes.bfloat16),
        large(np.float16),
        large().astype(np.int64),
        large()[0],
        large()[1:3],
        np.zeros((LARGE, 1, 2), bool),
    ],
    ids=["float32", "bfloat16", "float16", "int64", "vector", "part", "bool"],
)
def test_it_is_what_it_was_bit_for_bit(array: np.ndarray) -> None:
    kept = on_disk(array)
    assert is_mapped(kept)
    assert (kept.shape, kept.dtype) == (array.shape, array.dtype)
    assert kept.tobytes() == array.tobytes()
    let_go()
    assert kept.tobytes() == array.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        kept.reshape(-1)[0] = 1


@pytest.mark.in_turn(4)
def test_many_take_few_open_files() -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = [on_disk(large() + number) for number in range(60)]
    assert len(os.listdir("/proc/self/fd")) - before <= 4
    for number, array in enumerate(kept):
        np.testing.assert_array_equal(array, large() + number)


def test_one_larger_than_a_file_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILE", LARGE)
    one, other = on_disk(large()), on_disk(2 * large())
    np.testing.assert_array_equal(2 * one, other)


def test_small_strided_and_python_objects_stay_in_memory() -> None:
    for array in (np.ones(3), large()[:, ::2], np.full(LARGE, None)):
        assert on_disk(array) is array


def test_memory_is_given_back() -> None:
    def held() -> int:
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon"))

    before = held()
    kept = [on_disk(large(factor=4)) for _ in range(8)]
    size = sum(array.nbytes for array in kept)
    assert held() - before < size / 4
    assert kept[7][0, 0] == large()[0, 0]


def test_the_file_goes_with_its_last_array() -> None:
    kept = on_disk(large())
    mapping = weakref.ref(kept.base if not isinstance(kept.base, np.ndarray) else kept.base.base)
    module._files.clear()
    assert mapping() is not None
    del kept
    gc.collect()
    assert mapping() is None


def test_where_there_is_no_room_it_stays_in_memory() -> None:
    array = large()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, lambda *_: None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGE, hard))
    try:
        assert on_disk(array) is array
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handled)


def test_where_the_disk_is_full_it_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage("/")._replace(free=module._RESERVE)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: full)
    array = large()
    assert on_disk(array) is array


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no folder that is memory")
def test_memory_is_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._is_memory("/dev/shm")
    assert not module._is_memory("/proc/self")
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: "/dev/shm")
    array = large()
    assert on_disk(array) is array


def test_a_forked_process_fills_a_file_of_its_own() -> None:
    first = on_disk(large())
    child = os.fork()
    if not child:
        on_disk(large() + 7)
        os._exit(0)
    os.waitpid(child, 0)
    second = on_disk(large() + 1)
    np.testing.assert_array_equal(first, large())
    np.testing.assert_array_equal(second, large() + 1)


def test_where_no_file_can_be_made_it_stays_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_folder", lambda size: str(tmp_path / "not there"))
    array = large()
    assert on_disk(array) is array
