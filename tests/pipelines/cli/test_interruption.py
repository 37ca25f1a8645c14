"""Signals at a command, from its first line on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.cli.exit_codes import ExitCode
from pipelines.cli.interruption import INTERRUPTED
from tests.conftest import REPOSITORY

# What a command does between its first line and its end, in a script of its own: a signal comes
# from within, so that it comes just there.
HEAD = """
import os, signal, sys
from pipelines.cli.interruption import run_interruptibly, tell_interrupted
for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # tests may be run under nohup
    signal.signal(sign, signal.SIG_DFL)
"""
IN_AN_IMPORT = """
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.{sign})
sys.meta_path.insert(0, Finder())
from pipelines.cli.__main__ import main
sys.argv = ["twintrain", "power", "--gap", "0.5"]
main()
"""
TURNED_INTO_ANOTHER = """
def command():
    try:
        os.kill(os.getpid(), signal.{sign})
    except KeyboardInterrupt:
        raise ImportError("initialization failed")
run_interruptibly(command)
"""
IN_A_DESTRUCTOR = """
class Ending:
    def __del__(self):
        os.kill(os.getpid(), signal.{sign})
def command():
    Ending()
    import time
    time.sleep(30)
run_interruptibly(command)
"""
TWICE = """
def command():
    try:
        os.kill(os.getpid(), signal.{sign})
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        print("taken back", flush=True)
run_interruptibly(command)
"""


def run(script: str, sign: signal.Signals) -> subprocess.CompletedProcess[str]:
    text = HEAD + script.replace("{sign}", sign.name)
    return subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
        timeout=60,
    )


def test_the_exit_code_is_that_of_the_table() -> None:
    assert INTERRUPTED == ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("script", "sign"),
    [
        (IN_AN_IMPORT, signal.SIGINT),
        (IN_AN_IMPORT, signal.SIGTERM),
        (TURNED_INTO_ANOTHER, signal.SIGHUP),
        (IN_A_DESTRUCTOR, signal.SIGTERM),
        (TWICE, signal.SIGINT),
    ],
    ids=["import INT", "import TERM", "another error", "destructor", "twice"],
)
def test_a_signal_ends_a_command_in_a_sentence(script: str, sign: signal.Signals) -> None:
    ended = run(script, sign)
    assert (ended.returncode, ended.stderr.strip()) == (INTERRUPTED, "Interrupted.")
    assert ended.stdout == ("taken back\n" if script == TWICE else "")


def test_what_nohup_ignores_stays_ignored() -> None:
    script = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
run_interruptibly(lambda: os.kill(os.getpid(), signal.{sign}))
"""
    assert run(script, signal.SIGHUP).returncode == 0
    assert run(script, signal.SIGTERM).returncode == INTERRUPTED


def test_errors_that_no_signal_brought_stay_what_they_are() -> None:
    ended = run("run_interruptibly(lambda: 1 / 0)", signal.SIGINT)
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr


def test_a_data_import_takes_back_what_it_has_begun(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40_000, 28, 28), np.uint8)
    np.savez(tmp_path / "d.npz", x=pixels, y=np.arange(40_000) % 10)
    target = tmp_path / "in"
    command = ["data", "import", str(tmp_path / "d.npz"), "--to", str(target)]
    ended = interrupted(
        command, signal.SIGTERM, lambda: (tmp_path / ".in.partial").exists(), tmp_path
    )
    assert ended == f"Interrupted. Nothing was left at {target}."
    assert [path.name for path in tmp_path.iterdir()] == ["d.npz"]


def interrupted(
    arguments: list[str], sign: signal.Signals, begun: Callable[[], bool], folder: Path
) -> str:
    """What a command says that gets a signal once it has begun; it ends within seconds."""
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=env
    ) as process:
        until = time.monotonic() + 60
        while not begun():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(sign)
        _, said = process.communicate(timeout=20)
    assert process.returncode == INTERRUPTED
    return said.strip()
