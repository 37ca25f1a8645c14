"""The cuts of `benchmarks/chaos.py`, on the few functions that write what must not be lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks.chaos_ends import SHIM
from benchmarks.chaos_flips import flipped
from benchmarks.chaos_run import differing, figures
from tests.conftest import REPOSITORY
from twintrain.training import kept_arrays

TEXT = """
from pathlib import Path
from twintrain.processes.replacing import replace_text
replace_text(Path({path!r}), {content!r})
"""
ARRAYS = """
from pathlib import Path
import numpy as np
from twintrain.training import kept_arrays
kept_arrays.write(Path({path!r}), {{"epoch": np.full(1000, {content})}})
"""


class Cut:
    """A folder in which every program dies at its next write."""

    def __init__(self, folder: Path) -> None:
        self.root, self.done = folder / "root", folder / "done"
        self.root.mkdir()
        self.done.touch()

    def run(self, program: str, cut: bool = True) -> int:
        watched = {"CHAOS_ROOT": str(self.root), "CHAOS_DONE": str(self.done), "CHAOS_TOKEN": "t"}
        path = os.pathsep.join([SHIM, str(REPOSITORY)] if cut else [str(REPOSITORY)])
        return subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **(watched if cut else {}), "PYTHONPATH": path},
            check=False,
        ).returncode

    def written_long_ago(self) -> None:
        """What lies there has come to the disk by itself since."""
        for path in self.root.iterdir():
            os.utime(path, (path.stat().st_mtime - 60,) * 2)

    def cuts(self) -> list[str]:
        return self.done.read_text().splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Cut:
    return Cut(tmp_path)


def test_a_text_is_the_old_one_or_the_new_wherever_it_is_cut(folder: Cut) -> None:
    path = folder.root / "report.json"
    assert folder.run(TEXT.format(path=str(path), content="old " * 500), cut=False) == 0
    folder.written_long_ago()
    program = TEXT.format(path=str(path), content="new " * 500)
    seen = []
    while folder.run(program) == -signal.SIGKILL:
        seen.append(path.read_text())
        assert seen[-1] in ("old " * 500, "new " * 500)
    assert [line.split()[:3] for line in folder.cuts()] == [
        ["power", "before", "fsync"],
        ["killed", "before", "rename"],
        ["power", "after", "rename"],
    ]
    assert [text[:3] for text in seen] == ["old", "old", "new"]
    assert sorted(path.parent.iterdir()) == [path]  # nor is anything left beside it


def test_of_two_generations_one_can_always_be_read(folder: Cut) -> None:
    path = folder.root / "state.npz"
    for epoch in (1, 2):
        assert folder.run(ARRAYS.format(path=str(path), content=epoch), cut=False) == 0
    folder.written_long_ago()
    program = ARRAYS.format(path=str(path), content=3)
    while folder.run(program) == -signal.SIGKILL:
        newest = next(place for place in kept_arrays.generations(path) if place.exists())
        assert kept_arrays.read(newest)["epoch"][0] in (2, 3)
    assert len(folder.cuts()) == 7
    assert kept_arrays.read(path)["epoch"][0] == 3


def test_what_is_written_without_a_sync_is_lost_with_the_power(folder: Cut) -> None:
    """The cuts cut: a file that is written plainly does not survive them."""
    path = folder.root / "plain.json"
    program = f"from pathlib import Path\nPath({str(path)!r}).write_text('whole')"
    lengths = []
    while folder.run(program) == -signal.SIGKILL:
        lengths.append(path.stat().st_size)
    assert lengths == [5, 0]


@pytest.mark.parametrize("seed", range(5))
def test_a_bit_is_turned_over_and_back(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "some"
    before = Random(seed).randbytes(100)
    path.write_bytes(before)
    with flipped(path, Random(seed)):
        changed = np.frombuffer(path.read_bytes(), np.uint8) ^ np.frombuffer(before, np.uint8)
        assert np.unpackbits(changed).sum() == 1
    assert path.read_bytes() == before


def test_figures_are_what_was_found_and_not_what_the_clock_said() -> None:
    def made(gap: float, seconds: float) -> dict[str, object]:
        clock = {"train_seconds": [seconds], "images_per_second": [1.0], "peak_memory_mb": [9.0]}
        twin = {**clock, "trials": [{"score": 0.5, "seconds": seconds}]}
        return {"gap": gap, "created": str(seconds), "twins": {"fit": twin}}

    assert differing(figures(made(0.1, 1.0)), figures(made(0.1, 2.0))) == []
    assert differing(figures(made(0.1, 1.0)), figures(made(0.2, 1.0))) == [".gap: 0.1 / 0.2"]
