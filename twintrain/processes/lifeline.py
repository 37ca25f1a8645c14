"""A pipe that ties a child to its parent: it ends, with all it started, when the parent does, also
when that is killed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lifeline() -> Iterator[int]:
    """Inside, start the child with the descriptor among its `pass_fds`, and tell it the number.

    Yields:
        the descriptor that the child holds on to. The other end closes when this process ends, by
        whatever, or the block does.
    """
    held, kept = os.pipe()
    try:
        yield held
    finally:
        os.close(kept)
        os.close(held)


def hold_on_to(descriptor: int) -> None:
    """End this process and its group, at once, when the other end of a `lifeline` closes.

    Args:
        descriptor: as `lifeline` gave it. This process must lead a group of its own.
    """
    assert os.getpgid(0) == os.getpid()  # or the parent's whole group would be ended

    def wait() -> None:
        os.read(descriptor, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
