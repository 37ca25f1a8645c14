"""Where in a program something happens: the innermost of its frames."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

from twintrain.diagnosis.scripts.loop_marks import Key


def place_in(folder: Path) -> Key:
    """Where the innermost frame whose file is in a folder stands; ('', 0, 0) where none is."""
    frame: FrameType | None = sys._getframe(1)
    prefix = f"{folder}/"
    while frame is not None:
        if frame.f_code.co_filename.startswith(prefix):
            return frame.f_code.co_filename, frame.f_lineno, 0
        frame = frame.f_back
    return "", 0, 0
