"""Python's garbage collector, kept from what will not become garbage.

Where TensorFlow is imported a collection looks through well over a million objects, which takes
half a second and more; Keras (`clear_session`), statsmodels and we ask for one again and again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_new_objects() -> Iterator[None]:
    """Collections inside look only at what is made inside.

    May be entered again inside, and where `gc.freeze` was called for good.
    """
    frozen_already = gc.get_freeze_count() > 0
    gc.freeze()
    try:
        yield
    finally:
        if not frozen_already:
            gc.unfreeze()
