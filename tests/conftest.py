"""Shared by all tests: quiet TensorFlow, a tiny slice of real MNIST, and a few recipes."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests import turns
from twintrain.data import idx
from twintrain.data.example_store import ExampleStore, build_store

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "data"


# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    turns.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    turns.settle(config)


def pytest_report_header(config: pytest.Config) -> str:
    return turns.told(config)


SPREAD = ("test_cases.py", "test_correct.py")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of long tests a turn runs. A file's tests run in one process, in order (they share costly
    fixtures), unless each stands alone.

    Whole runs come first and what stands alone comes last, so that no process is left with a long
    file while the others have nothing to do.
    """

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("e2e") is not None:
            return 0
        return 2 if item.path.name in SPREAD else 1

    turns.leave_out_others(config, items)
    items.sort(key=place)
    for item in items:
        if item.path.name not in SPREAD:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(REPOSITORY))))


def pytest_collection_finish() -> None:
    """What the tests import stays: a collection, of which every `clear_session` asks for one, need
    not look through TensorFlow.
    """
    gc.freeze()


def mnist_store(split: str, count: int, memory_limit: int = 1 << 30) -> ExampleStore:
    """The first examples of a split of the bundled MNIST, scaled to 0..1, as the pipeline would
    hold them.
    """
    pair = idx.find_pair(DATA, split)
    images = b"".join(idx.read_images(pair.images, 0, count))
    pixels = np.frombuffer(images, np.uint8).reshape(count, 28, 28, 1).astype(
        np.float32
    ) / np.float32(255)
    labels = idx.read_labels(pair.labels)[:count].astype(np.int64)
    ids = np.array([f"{split}-{position:08d}" for position in range(count)], np.bytes_)
    halves = [slice(0, count // 2), slice(count // 2, count)]
    return build_store(((pixels[part], labels[part], ids[part]) for part in halves), memory_limit)


@pytest.fixture(scope="session")
def small_train() -> ExampleStore:
    """330 training digits: with batches of 32, ten whole ones and a partial one."""
    return mnist_store("train", 330)


@pytest.fixture(scope="session")
def small_test() -> ExampleStore:
    """200 test digits."""
    return mnist_store("eval", 200)


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """A directory of a valid, tiny IDX data set: 60 training and 30 test digits of real MNIST,
    gzipped.
    """
    folder = tmp_path / "idx"
    folder.mkdir()
    write_idx(folder, {"train": 60, "eval": 30})
    return folder


def write_idx(folder: Path, counts: dict[str, int], start: int = 0) -> None:
    """Write MNIST digits `start`.. of each split into `folder` as gzipped IDX files."""
    import gzip
    import struct

    for split, count in counts.items():
        pair = idx.find_pair(DATA, split)
        images = b"".join(idx.read_images(pair.images, start, start + count))
        labels = idx.read_labels(pair.labels)[start : start + count].tobytes()
        prefix = idx.SPLIT_PREFIXES[split]
        header = struct.pack(">BBBB", 0, 0, 8, 3) + struct.pack(">III", count, 28, 28)
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images))
        header = struct.pack(">BBBB", 0, 0, 8, 1) + struct.pack(">I", count)
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + labels))
