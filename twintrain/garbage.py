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

    Where something is frozen already, by an outer one or for good, this changes nothing: what was
    made since then is what they look at.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
