"""Work in processes of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from twintrain.errors import TwintrainError
from twintrain.processes import isolated
from twintrain.processes.scratch import asked_for_temporary_directory


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("TWINTRAIN_TRAINERS_SEE_DEVICES", raising=False)
    return


def visible() -> tuple[int, str]:
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_devices_hidden_from_the_caller_are_seen_by_each_new_process() -> None:
    isolated.hide_gpus()
    isolated.expect_isolated(())
    seen = [isolated.run_isolated(visible) for _ in range(2)]
    assert [devices for _, devices in seen] == ["0", "0"]
    assert len({os.getpid(), *(process for process, _ in seen)}) == 3
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"


def test_a_killed_process_is_told_with_its_signal() -> None:
    with pytest.raises(TwintrainError, match="The training process was killed by SIGKILL"):
        isolated.run_isolated(die)


def written() -> tuple[str, str]:
    """A file that the process leaves in its temporary directory, and one of its child's."""
    left = tempfile.mkstemp()[1]
    code = "import tempfile; print(tempfile.NamedTemporaryFile(delete=False).name)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return left, child.stdout.strip()


def write_and_die() -> None:
    written()
    die()


def test_what_it_leaves_in_its_temporary_directory_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in isolated.run_isolated(written):
        assert Path(name).parent.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TwintrainError, match="SIGKILL"):
        isolated.run_isolated(write_and_die)
    assert list(tmp_path.iterdir()) == []


def asked() -> tuple[str | None, str]:
    return asked_for_temporary_directory(), tempfile.gettempdir()


def test_whether_somebody_asked_for_a_temporary_directory_is_known_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert isolated.run_isolated(asked)[0] is None
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    own, there = isolated.run_isolated(asked)
    assert own == there
    assert Path(there).parent == tmp_path
    # In a folder of a command's own it is beside that, lest its name become too long.
    inner = tmp_path / "twintrain-run-0123abcd-1-abcdefgh"
    inner.mkdir()
    monkeypatch.setenv("TMPDIR", str(inner))
    assert Path(isolated.run_isolated(asked)[1]).parent == tmp_path


def drawn() -> float:
    return float(np.random.rand())


def test_what_is_drawn_without_a_seed_is_not_the_same_in_each() -> None:
    assert len({isolated.run_isolated(drawn) for _ in range(3)}) == 3


def test_a_temporary_directory_with_a_long_name_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("job-of-a-cluster-" * 8)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    isolated.expect_isolated(())
    assert isolated.run_isolated(visible)[1] == "0"
