"""The places a run needs, looked at before the long work starts."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from pipelines.config import RunConfig, size_of
from pipelines.local.metadata_seal import check_seal
from twintrain.errors import TwintrainError
from twintrain.processes.scratch import temporary_directory

# What TensorFlow's and TFX's file functions take for a pattern: files below would not be found.
_PATTERNS = "*?[]"
# Free bytes without which nothing is started: floors, no forecasts. A run on a few hundred images
# leaves 4 to 9 MB below its root.
ROOT_FREE, TEMPORARY_FREE = 20_000_000, 20_000_000
# Bytes below the root per byte of data files: the examples are written once raw and once
# transformed, both compressed.
_PER_BYTE = 2


def check_name(root: Path) -> None:
    """See that a root can be written down and found again.

    Raises:
        TwintrainError: its name has characters with which it cannot.
    """
    name = str(root)
    if not name.isprintable():
        raise TwintrainError(
            f"The root {name!r} has characters in its name that cannot be printed.",
            "Choose another with --root.",
        )
    found = "".join(sorted(set(_PATTERNS) & set(name)))
    if found:
        raise TwintrainError(
            f"The root {name} has {' and '.join(found)} in its name, which TensorFlow takes for a "
            "pattern.",
            "Choose another with --root.",
        )


def look_at_places(config: RunConfig) -> None:
    """See that a run can read and write what it needs; makes the directory of the logs.

    Raises:
        TwintrainError: ML Metadata's file is damaged or read only, a directory cannot be written,
            or there is too little space.
    """
    logs = config.root / "logs"
    if not logs.is_symlink() and not logs.exists():
        logs.mkdir()
    for name in ("logs", "artifacts", "schemas", "state", "records", "report", "pushed"):
        folder = config.root / name
        if folder.is_symlink() or folder.exists():
            _check_writable(folder, "Check its mode and owner, or choose another --root.")
    look_at_metadata(config.metadata_db)
    temporary = temporary_directory()
    _check_writable(temporary, "Free it, or name another in the variable TMPDIR.")
    _check_space(temporary, TEMPORARY_FREE, "Free some, or name another in the variable TMPDIR.")
    needed = ROOT_FREE + _PER_BYTE * size_of(config, databases=False)
    _check_space(config.root, needed, "Free some, or choose another --root.")


def _check_writable(folder: Path, remedy: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        raise TwintrainError(f"{folder} cannot be written: {error.strerror}.", remedy) from error


def look_at_metadata(path: Path) -> None:
    """See that ML Metadata can read its file and write to it, and that the last run left it so.

    Raises:
        TwintrainError: it is not.
    """
    if not path.exists():
        return
    remedy = "Move it away, and everything is made anew; or choose another --root."
    if not os.access(path, os.R_OK | os.W_OK):
        raise TwintrainError(f"{path} cannot be written: permission denied.", remedy)
    try:
        with closing(sqlite3.connect(path, timeout=5)) as database:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise TwintrainError(f"{path} cannot be used: {error}.", remedy) from error
    if verdict != "ok":
        raise TwintrainError(f"{path} is damaged: {' '.join(verdict.split())}.", remedy)
    check_seal(path)


def _check_space(folder: Path, needed: int, remedy: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise TwintrainError(
            f"{folder} has {free / 1e6:,.0f} MB free, and the run needs {needed / 1e6:,.0f}.",
            remedy,
        )
