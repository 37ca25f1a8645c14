"""Ctrl-C, `kill` and a closed terminal end every command alike: what it has begun is taken back or
kept, its children end, and it says so.

Only the standard library is imported here: a command listens before it imports anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130  # `ExitCode.INTERRUPTED`; a test holds the two together
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds in which further signals do not cut short what the first one has set going.
_CLEANING = 5.0
_AGAIN = 0.05  # seconds


class _Interruption:
    """What has come so far, and whether the user has been told."""

    def __init__(self) -> None:
        self.raised: float | None = None
        self.told = False

    def take(self, *_: object) -> None:
        """Go up through the program as Ctrl-C does."""
        now = time.monotonic()
        if self.raised is None or now - self.raised > _CLEANING:
            self.raised = now
            raise KeyboardInterrupt

    def ignored(self, lost: sys.UnraisableHookArgs) -> None:
        """Raise again what came up in a destructor, where Python can only report it."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self.raised = None
            # Not at once: in here it would be lost again.
            threading.Timer(_AGAIN, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            sys.__unraisablehook__(lost)


_state = _Interruption()


def run_interruptibly(command: Callable[[], object]) -> NoReturn:
    """Run a command as this process's only one, and end the process.

    SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in it. One that is ignored stays so: nohup
    lets a command outlive its terminal.
    """
    listened_to = [sign for sign in SIGNALS if signal.getsignal(sign) != signal.SIG_IGN]
    for sign in listened_to:
        signal.signal(sign, _state.take)
    sys.unraisablehook = _state.ignored
    try:
        try:
            from twintrain import garbage

            garbage.collect_rarely()
            command()
        finally:
            # Nothing is left to take back: neither what follows nor what Python does at its end is
            # to be broken off.
            for sign in listened_to:
                signal.signal(sign, signal.SIG_IGN)
            garbage.keep_all()
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            tell_interrupted()
        raise
    except BaseException:
        # An import that is broken off may make something else of it.
        if _state.raised is None:
            raise
        tell_interrupted()
        sys.exit(INTERRUPTED)
    sys.exit(0)


def tell_interrupted(kept: str = "") -> None:
    """Say once, on standard error, that the command was interrupted.

    Args:
        kept: what is left of its work, in a sentence or two.
    """
    if not _state.told:
        _state.told = True
        print(f"\nInterrupted. {kept}".rstrip(), file=sys.stderr, flush=True)
