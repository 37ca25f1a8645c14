"""The process of a diagnosis: what comes back of it, and what does where it does not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.twintrain.diagnosis.watch.test_user_module import GOOD
from twintrain.diagnosis import worker
from twintrain.diagnosis.worker import CodeFailedError, DiagnosisFailedError, Task
from twintrain.errors import TwintrainError


def run(folder: Path, text: str) -> None:
    path = folder / "training.py"
    path.write_text(text, encoding="utf-8")
    worker.run(Task(files=[path], deadline=60.0, here=folder), lambda line: None)


@pytest.mark.in_turn(1)
def test_a_process_that_is_ended_from_outside_is_no_fault_of_the_code(tmp_path: Path) -> None:
    ended = GOOD + "\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
    with pytest.raises(DiagnosisFailedError, match="was ended by SIGSEGV") as caught:
        run(tmp_path, ended)
    assert "starting TensorFlow: " in caught.value.problem
    assert "loading training.py: " in caught.value.problem


def test_one_that_is_killed_is_told_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = worker._start

    def killed(*arguments: Any) -> subprocess.Popen[str]:
        child = start(*arguments)
        child.kill()
        return child

    monkeypatch.setattr(worker, "_start", killed)
    with pytest.raises(TwintrainError, match="of the diagnosis was killed by SIGKILL; ") as caught:
        run(tmp_path, GOOD)
    assert "starting TensorFlow: " in caught.value.problem
    assert "come back" not in caught.value.problem


def test_code_that_does_not_come_back_is_told_with_where_its_time_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IMPORTING", 1.0)
    with pytest.raises(CodeFailedError, match=r"did not come back\. starting TensorFlow: \d+ s"):
        run(tmp_path, "import time\ntime.sleep(600)\n" + GOOD)


@pytest.mark.in_turn(4)
def test_the_time_that_imports_take_is_not_that_of_the_diagnosis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were the time counted from the start, the process would be killed while it imports.
    monkeypatch.setattr(worker, "GRACE", -59.0)
    with pytest.raises(CodeFailedError, match="reading the data: "):
        run(tmp_path, "import time\ntime.sleep(2)\n" + GOOD)
