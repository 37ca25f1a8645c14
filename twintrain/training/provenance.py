"""Which code a result was made by: a list of what counts, so that nothing else is in the way."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

from twintrain.problems.find import user_modules
from twintrain.problems.user_function import digest_of_module
from twintrain.recipe.recipe import Recipe

LIBRARY = Path(__file__).resolve().parent.parent
# Rooms whose own modules (those of a room inside, as data/importing, not) decide what a training
# gives. What compares, explains, shows or follows trainings has no hand in them.
TRAINING_ROOMS = ("recipe", "problems", "data", "training")
_PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy")


def modules_of(rooms: Iterable[str]) -> list[Path]:
    """The source files of some of the library's rooms, without those of rooms inside.

    Raises:
        FileNotFoundError: there is no such room: it was renamed, and its name here was not.
    """
    found: list[Path] = []
    for room in rooms:
        if not (LIBRARY / room).is_dir():
            raise FileNotFoundError(f"The library has no room {room!r} in {LIBRARY}.")
        found += (LIBRARY / room).glob("*.py")
    return found


def digest_of(
    files: Iterable[Path], base: Path, recipe: Recipe, packages: Iterable[str] = ()
) -> str:
    """SHA-256 over source files, the user's own modules and the versions of what they stand on; 64
    hexadecimal digits.

    Args:
        files: sources, below `base`.
        base: what their names are taken relative to.
        recipe: names the modules.
        packages: further installed packages whose versions count.
    """
    sha = hashlib.sha256()
    for path in sorted(files):
        sha.update(path.relative_to(base).as_posix().encode() + b"\0" + path.read_bytes())
    for module in user_modules(recipe):
        sha.update(digest_of_module(module).encode())
    for package in (*_PACKAGES, *packages):
        sha.update(f"{package}=={importlib.metadata.version(package)}\0".encode())
    return sha.hexdigest()


def training_digest(recipe: Recipe) -> str:
    """The code that decides what a training gives."""
    return digest_of(modules_of(TRAINING_ROOMS), LIBRARY.parent, recipe)
