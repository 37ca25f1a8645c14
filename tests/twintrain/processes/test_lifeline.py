from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

# Starts a child that starts a grandchild, and tells their numbers; the child ignores what it can.
PARENT = """
import subprocess, sys, time
from twintrain.processes.lifeline import lifeline
with lifeline() as tie:
    child = subprocess.Popen(
        [sys.executable, "-c", sys.argv[1], str(tie)], pass_fds=(tie,), start_new_session=True
    )
    time.sleep(600)
"""
CHILD = """
import os, signal, subprocess, sys, time
from twintrain.processes.lifeline import hold_on_to
hold_on_to(int(sys.argv[1]))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), grandchild.pid, flush=True)
time.sleep(600)
"""


def gone(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_child_and_what_it_started_end_with_a_parent_that_is_killed() -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        processes = [int(number) for number in parent.stdout.readline().split()]
        assert len(processes) == 2
        assert not any(gone(process) for process in processes)
        os.kill(parent.pid, signal.SIGKILL)
        killed = time.monotonic()
        while not all(gone(process) for process in processes):
            assert time.monotonic() - killed < 5  # a second, where the machine has nothing else
            time.sleep(0.01)
