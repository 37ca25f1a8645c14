"""Workers that train nothing, in a module that is imported in no time: it holds no TensorFlow."""

from __future__ import annotations

import os
import time


def sleep_for_ever() -> None:
    time.sleep(3600)


def leave_at_once() -> None:
    """A worker with nothing to do; the chief has to be there as long as any worker is."""
    if os.environ["KERASTUNER_TUNER_ID"] == "chief":
        time.sleep(3600)
