"""Figures that a training leaves in its variables, one per epoch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

from twintrain.diagnosis.watch.logs import Series, read_log


def figures_here(folder: Path, epochs: int) -> Series:
    """Series of as many figures as there were epochs, among the variables of the program's frames
    on the stack; those of inner frames first.
    """
    found: Series = {}
    frame: FrameType | None = sys._getframe(1)
    prefix = f"{folder}/"
    while frame is not None:
        if frame.f_code.co_filename.startswith(prefix):
            for name, value in list(frame.f_locals.items()):
                for key, series in _series(name, value).items():
                    if len(series) == epochs:
                        found.setdefault(key, series)
        frame = frame.f_back
    return found


def _series(name: str, value: Any) -> Series:
    if name.startswith("_") or not isinstance(value, (list, dict)) or not value:
        return {}
    named = isinstance(value, dict) and all(isinstance(v, list) for v in value.values())
    if isinstance(value, dict) and not named:
        return {}
    # A history by the names of its figures needs no name of its own.
    return read_log(value, "" if named else name)
