"""Large arrays of a script that are asked for a few rows later on, put out of memory.

A script that scales MNIST leaves half a gigabyte of float64, two scripts leave it twice, and each
run of a script makes its own again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from twintrain.diagnosis.scripts.entries import map_parts
from twintrain.diagnosis.watch.on_disk import on_disk


class Aside:
    """Puts arrays aside, each of them once, however often it comes."""

    def __init__(self) -> None:
        # With the array that was put aside, so that its identity stays its own meanwhile.
        self._known: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def put(self, arrays: Any) -> Any:
        """A nest of arrays, large ones read from a file from now on; what is no array stays."""
        return map_parts(self._put, arrays)

    def _put(self, part: Any) -> Any:
        if type(part) is not np.ndarray:
            return part
        if id(part) not in self._known:
            self._known[id(part)] = part, on_disk(part)
        return self._known[id(part)][1]
