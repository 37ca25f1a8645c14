"""Digests of files and folders, by what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_BLOCK = 1 << 20


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def files_digest(files: Iterable[Path], base: Path) -> str:
    """SHA-256 over the names (below `base`) and contents of files, in the order of their names."""
    named = sorted((str(path.relative_to(base)), path) for path in files)
    sha = hashlib.sha256()
    for name, path in named:
        sha.update(f"{len(name)} {name} {file_digest(path)}\n".encode())
    return sha.hexdigest()


def folder_digest(folder: Path, without: Iterable[str] = ()) -> str:
    """SHA-256 over all files below a folder; a file counts as a folder of one.

    Args:
        folder: what is digested.
        without: names of files that do not count, whatever folder they are in.

    Raises:
        OSError: a file cannot be read.
    """
    if folder.is_file():
        return files_digest([folder], folder.parent)
    beside = set(without)
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in beside)
    return files_digest(files, folder)
