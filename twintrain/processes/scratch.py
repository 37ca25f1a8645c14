"""Temporary folders whose names say whose they are, so that what a killed process has left is taken
away by the next one.
"""

from __future__ import annotations

import multiprocessing.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twintrain.errors import TwintrainError
from twintrain.processes.replacing import is_running, this_machine

# Holds what TMPDIR was set to here, and nobody had asked for one.
_OURS = "TWINTRAIN_OWN_TMPDIR"


def prefix_of(kind: str) -> str:
    """How the name of a temporary file or folder of this process begins.

    Args:
        kind: what it is for, a word.
    """
    return f"twintrain-{kind}-{this_machine()}-{os.getpid()}-"


def temporary_directory() -> Path:
    """Where temporary files of this process go.

    Raises:
        TwintrainError: no directory that may be used for them can be written.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise TwintrainError(
            "No temporary directory can be written: TMPDIR, /tmp and /var/tmp were tried.",
            "Name one in the variable TMPDIR.",
        ) from error


@contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """A folder for as long as the block takes; what dead processes of this user have left is taken
    away first.

    Args:
        kind: what it is for, a word.

    Raises:
        TwintrainError: there is no temporary directory.
        OSError: the folder cannot be made.
    """
    remove_abandoned()
    folder = tempfile.TemporaryDirectory(prefix=prefix_of(kind), ignore_cleanup_errors=True)
    with folder as place:
        yield Path(place)


def own_temporary_directory() -> None:
    """Have what this process and its children write to the temporary directory in a folder that
    goes when it ends: functions registered with atexit, by which TensorFlow removes the code that
    it has written, do not run in a process that multiprocessing has started.
    """
    tempfile.tempdir = None  # what this one was forked off may have looked where it was told to
    with suppress(OSError):  # whoever needs one says that there is none
        there = Path(tempfile.gettempdir())
        # Beside its parent's, not in it: the name of a socket may not be much longer.
        beside = there.parent if there.name.startswith("twintrain-") else there
        folder = tempfile.mkdtemp(prefix=prefix_of("process"), dir=beside)
        if not asked_for_temporary_directory():
            os.environ[_OURS] = folder
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        # After the process's own children have ended, which write there too.
        multiprocessing.util.Finalize(None, shutil.rmtree, (folder, True), exitpriority=-10)


def asked_for_temporary_directory() -> str | None:
    """The directory that somebody asked for by the variable TMPDIR; None where nobody did."""
    named = os.environ.get("TMPDIR")
    return named if named != os.environ.get(_OURS) else None


def remove_abandoned() -> list[Path]:
    """Remove temporary files and folders of this user whose process on this machine has ended.

    Returns:
        what was removed.
    """
    name = re.compile(rf"twintrain-[a-z]+-{this_machine()}-(\d+)-\w+")
    removed = []
    for left in temporary_directory().glob("twintrain-*"):
        match = name.fullmatch(left.name)
        if match is None or is_running(int(match[1])):
            continue
        with suppress(OSError):  # somebody else's, or gone meanwhile
            if left.lstat().st_uid != os.geteuid() or left.is_symlink():
                continue
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
            removed.append(left)
    return removed
