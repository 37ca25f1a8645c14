"""Python's garbage collector, kept from what will not become garbage.

Where TensorFlow is imported a collection looks through well over a million objects, which takes
half a second and more; Keras (`clear_session`) and we ask for one again and again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects after which Python looks for garbage by itself. Importing TensorFlow makes half a
# million that stay; looking through them at every 700, as is the default, takes a tenth of its
# time.
_MANY = 50_000


def collect_rarely() -> None:
    """For a process that is about to import TensorFlow."""
    gc.set_threshold(_MANY)


def keep_all() -> None:
    """What there is now will not be looked at again: for a process that has imported what it needs,
    or is about to end. Python goes through everything there is when it ends, for a second, and the
    system takes it all back anyway.
    """
    gc.freeze()


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
