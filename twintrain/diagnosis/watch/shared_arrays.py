"""Equal arrays, kept once.

A step keeps weights, gradients and the optimizer's state, before and after. Most of it is there
already: what a step ends with the next one begins with, and one side's runs repeat each other.
"""

from __future__ import annotations

import zlib
from weakref import WeakValueDictionary

import numpy as np

from twintrain.diagnosis.watch.on_disk import on_disk

# Bytes below which it is not worth a look.
SMALL = 1 << 14

_Key = tuple[tuple[int, ...], str, int]
_kept: WeakValueDictionary[_Key, np.ndarray] = WeakValueDictionary()


def shared(array: np.ndarray) -> np.ndarray:
    """An array of the same bits, the same object for all who ask while one of them keeps it; it
    cannot be written to.

    Args:
        array: not to be changed from now on.
    """
    if array.nbytes < SMALL or not array.flags.c_contiguous or array.dtype.hasobject:
        return array
    key = (array.shape, array.dtype.str, zlib.crc32(array.view(np.uint8).data))
    known = _kept.get(key)
    if known is not None and np.array_equal(known.view(np.uint8), array.view(np.uint8)):
        return known
    kept = on_disk(array)
    kept.flags.writeable = False
    _kept[key] = kept
    return kept
