"""Whether ML Metadata's file is still what the last run left.

SQLite finds a page that is no page any more, not a figure that became another one. Beside the file
stands its digest, from the end of one run to the start of the next; a run that was killed leaves
none.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from twintrain.errors import TwintrainError
from twintrain.processes.digests import file_digest
from twintrain.processes.replacing import replace_text


def seal(database: Path) -> None:
    """Note the file's digest, once nothing writes to it any more.

    Not being able to costs the check, not the run.
    """
    # A transaction that was broken off is taken back by whoever opens the file next.
    unfinished = database.with_name(f"{database.name}-journal").exists()
    if database.exists() and not unfinished:
        with suppress(OSError):
            replace_text(_beside(database), _line(database))


def check_seal(database: Path) -> None:
    """See that the file is the one that was sealed, if one was.

    Raises:
        TwintrainError: it is another one.
    """
    beside = _beside(database)
    if not (database.exists() and beside.exists()):
        return
    if beside.read_bytes() != _line(database).encode():
        raise TwintrainError(
            f"{database} is not what the last run left: it was changed since (by an older version "
            "of Twintrain, say), or is damaged.",
            f"If the change was meant, delete {beside.name}; otherwise move {database.name} away, "
            "and everything is made anew.",
        )


def open_seal(database: Path) -> None:
    """Take the seal away: from now on the file changes.

    Raises:
        OSError: it cannot be.
    """
    _beside(database).unlink(missing_ok=True)


def _line(database: Path) -> str:
    """As `sha256sum -c` reads it."""
    return f"{file_digest(database)}  {database.name}\n"


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.sha256")
