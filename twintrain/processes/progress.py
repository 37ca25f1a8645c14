"""Progress of a run, told by whichever process makes it, read by the one that shows it.

One JSON object per line is appended to the file named by the environment variable below; without it
nothing is written. Lines are short, so appends from several processes do not mix.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

VARIABLE = "TWINTRAIN_PROGRESS_FILE"


def report_progress(event: str, **fields: Any) -> None:
    """Append one event with the time and `fields`."""
    path = os.environ.get(VARIABLE)
    if path:
        line = json.dumps({"event": event, "time": time.time(), **fields}) + "\n"
        with open(path, "a", encoding="utf-8") as file:
            file.write(line)


def last_text(file: Path) -> str:
    """What was told last, for a person; empty when nothing was."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for line in reversed(lines):
        try:
            return str(json.loads(line).get("text", ""))
        except json.JSONDecodeError:
            continue  # half written
    return ""
