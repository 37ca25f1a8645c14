"""Figures that a training leaves in its variables, one per epoch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

from twintrain.diagnosis.watch.logs import Series, figure_name, read_log


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
    if isinstance(value, dict):
        named = all(isinstance(part, list) for part in value.values())
        return read_log(value, _needed(name, set(value))) if named else {}
    epochs = [set(epoch) for epoch in value if isinstance(epoch, dict)]
    keys = set.union(*epochs) if len(epochs) == len(value) else set()
    return read_log(value, _needed(name, keys))


def _needed(name: str, keys: set[Any]) -> str:
    """What a history still needs of its variable's name: nothing where its keys name the figures,
    but that these are of the evaluation if only the variable says so.
    """
    if not keys:
        return name
    if any(figure_name(str(key)).held_out for key in keys):
        return ""
    return "val" if figure_name(name).held_out else ""
