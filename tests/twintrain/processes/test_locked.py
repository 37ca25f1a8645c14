from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twintrain.errors import TwintrainError
from twintrain.processes.locked import locked

HELD = """
import sys
from pathlib import Path
from twintrain.errors import TwintrainError
from twintrain.processes.locked import locked
with locked(Path(sys.argv[1]), TwintrainError("busy")):
    print("held", flush=True)
    sys.stdin.read()
"""
BUSY = TwintrainError("Somebody else is here.", "Wait.")


def test_one_at_a_time_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "below" / "lock"
    with (
        locked(path, BUSY),
        pytest.raises(TwintrainError, match="Somebody else"),
        locked(path, BUSY),
    ):
        pass
    assert list(path.parent.iterdir()) == []
    with locked(path, BUSY, keep=True):
        pass
    assert list(path.parent.iterdir()) == [path]


def test_a_holder_that_is_killed_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HELD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TwintrainError), locked(path, BUSY):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert path.exists()
    with locked(path, BUSY):
        pass
    assert not path.exists()


def test_a_file_that_was_deleted_while_it_was_opened_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    path, flock, seen = tmp_path / "lock", fcntl.flock, []

    def deleted_first(handle: int, how: int) -> None:
        if not seen:
            path.unlink()
        seen.append(handle)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", deleted_first)
    with locked(path, BUSY):
        assert path.exists()
    assert len(seen) == 2
