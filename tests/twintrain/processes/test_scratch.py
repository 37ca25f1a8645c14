from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from twintrain.processes.scratch import prefix_of, remove_abandoned, scratch

KILLED = """
import os, signal, tempfile
from twintrain.processes.scratch import prefix_of, scratch
tempfile.mkstemp(prefix=prefix_of("progress"))
with scratch("run") as folder:
    (folder / "below").mkdir()
    (folder / "below" / "file").write_text("left")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_has_left_is_taken_away_by_the_next(place: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(list(place.iterdir())) == 2
    with scratch("diagnosis") as folder:
        assert list(place.iterdir()) == [folder]
        assert folder.stat().st_mode & 0o077 == 0
    assert list(place.iterdir()) == []


def test_what_may_be_in_use_or_is_not_ours_stays(place: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    ours = prefix_of("run")
    kept = [
        f"{ours}abc",  # of this process, which lives
        "twintrain-run-0123abcd-1-abc",  # of another machine
        f"{ours.replace(str(os.getpid()), dead)}with-more.txt",
        "twintrain-notes",
    ]
    for name in kept:
        (place / name).mkdir()
    (place / "elsewhere").mkdir()
    (place / f"{ours.replace(str(os.getpid()), dead)}link").symlink_to(place / "elsewhere")
    assert remove_abandoned() == []
    assert all((place / name).exists() for name in kept)
    assert (place / "elsewhere").exists()
