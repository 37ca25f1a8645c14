from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from numpy._core import _multiarray_umath

from twintrain.errors import TwintrainError
from twintrain.processes.gpus import require_gpus, traces


def test_gpus_that_are_missing_are_named_with_what_was_looked_for() -> None:
    there = len(tf.config.list_physical_devices("GPU"))
    with pytest.raises(TwintrainError) as caught:
        require_gpus(there + 7)
    assert f"{there + 7} GPUs promised, {there} found" in caught.value.problem
    for part in (
        "driver: ",
        "devices: ",
        "libcuda.so.1: ",
        "libcudnn.so.9: ",
        "CUDA_VISIBLE_DEVICES: ",
    ):
        assert part in caught.value.problem


def test_a_driver_is_described(tmp_path: Path) -> None:
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text("NVRM version: 550.54\nGCC version: 12\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    assert {"driver: NVRM version: 550.54", "devices: nvidia0"} <= set(traces(tmp_path))


def test_libraries_in_nvidias_wheels_are_found_where_tensorflow_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "nvidia" / "cudnn" / "lib"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("twintrain.processes.gpus.LIBRARIES", ("libabsent.so.9",))
    library = folder / "libabsent.so.9"
    library.write_bytes(b"not a library")
    assert any(line.startswith("libabsent.so.9: libabsent.so.9: cannot open") for line in traces())
    shutil.copy(_multiarray_umath.__file__, library)
    assert f"libabsent.so.9: loads, from {library}" in traces()
