"""The processes of one run, known by a token in their environment."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

TOKEN = "CHAOS_TOKEN"  # the variable


def marked(token: str) -> list[int]:
    """Their numbers; one that is dead has no environment any more."""
    line = f"{TOKEN}={token}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and line in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def end(token: str, spared: int = 0) -> None:
    """Kill all of them at once, as a power failure does, but for one."""
    while living := [number for number in marked(token) if number != spared]:
        for number in living:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)
