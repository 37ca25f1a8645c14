"""A copy of the folder that a script is run in, so that nothing is written beside the script."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twintrain.diagnosis.scripts.source import read

# Never needed to train.
_LEFT_OUT = {
    ".git",
    ".hg",
    ".venv",
    "venv",
    "__pycache__",
    "node_modules",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}
# Files in a folder from which on only the script's own folder is copied.
MOST_FILES = 5_000
# Bytes that are copied; data beyond that is linked.
MOST_BYTES = 2**30
# What a training may write over: never linked.
_WRITTEN = {".h5", ".hdf5", ".keras", ".weights", ".ckpt", ".index", ".pb", ".npz", ".pkl", ".tmp"}
# Events of Python's audit hooks that change a file, and which of their arguments are paths.
_CHANGING = {
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.mkdir": 1,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.link": 2,
    "os.symlink": 2,
    "shutil.rmtree": 1,
    "shutil.move": 2,
}


class Copies:
    """Copies of the folders that files lie in.

    Args:
        files: as they were named.
        here: the folder the command was given in.
        to: where the copies go.

    Attributes:
        files: the same in the copies; a notebook as the code in it.
        roots: the copy that each file lies in.
    """

    def __init__(self, files: Sequence[Path], here: Path, to: Path) -> None:
        self.files: list[Path] = []
        self.roots: list[Path] = []
        self._named: dict[str, str] = {}
        originals: dict[Path, Path] = {}
        for file in files:
            root = root_of(here / file, here.resolve())
            if root not in originals:
                originals[root] = to / str(len(originals))
                copy_folder(root, originals[root])
                self._named[f"{originals[root]}/"] = "" if root == here.resolve() else f"{root}/"
            copy = originals[root]
            path = copy / (here / file).resolve().relative_to(root)
            if path.suffix == ".ipynb":
                source = read(path)
                path = path.with_suffix(".ipynb.py")
                path.write_text(source.text, encoding="utf-8")
            self.files.append(path)
            self.roots.append(copy)
        guard([str(root) for root in originals])

    def as_named(self, text: str) -> str:
        """A text with the paths that the files have for those who named them."""
        for copy, named in self._named.items():
            text = text.replace(copy, named)
        return text


def root_of(script: Path, here: Path) -> Path:
    """The folder to copy: the one the command is given in, as if the script were started there, or
    the script's own where that one is too large or does not hold the script.
    """
    folder = script.resolve().parent
    if folder.is_relative_to(here) and _count(here) <= MOST_FILES:
        return here
    return folder


def copy_folder(folder: Path, to: Path) -> None:
    """Copy a folder with all it holds; large files of data are linked."""
    left = MOST_BYTES
    for path in _files(folder):
        target = to / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        size = path.stat().st_size
        if size > left and path.suffix not in _WRITTEN:
            target.symlink_to(path)
            continue
        left -= size
        shutil.copy2(path, target)


def guard(folders: Sequence[str]) -> None:
    """Refuse, from now on, whatever Python is asked to change in some folders."""
    guarded = [f"{Path(folder).resolve()}/" for folder in folders]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in (mode or "") for letter in "wax+")
            writes = writes or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            paths = [path] if writes else []
        else:
            paths = list(arguments[: _CHANGING.get(event, 0)])
        for path in paths:
            _check(path, guarded)

    sys.addaudithook(hook)


def _check(path: Any, guarded: list[str]) -> None:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    real = os.path.realpath(os.fsdecode(path))
    if any(f"{real}/".startswith(folder) for folder in guarded):
        raise PermissionError(
            f"the script is run on a copy of its folder, and may not change {real}"
        )


def _files(folder: Path) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        found += [Path(where, name) for name in names]
    return [path for path in found if path.is_file()]


def _count(folder: Path) -> int:
    """Files in a folder; counted no further than needed."""
    count = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        count += len(names) + len(folders)
        if count > MOST_FILES:
            break
    return count
