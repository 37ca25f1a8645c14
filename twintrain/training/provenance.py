"""Which code a result was made by."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from twintrain.recipe.recipe import Recipe

LIBRARY = Path(__file__).resolve().parent.parent
# Parts of the library that prepare or look at trainings and have no hand in them.
ONLOOKERS = frozenset(
    {
        "report",
        "diagnosis",
        "attribution",
        "statistics.py",
        "power.py",
        "lockstep.py",
        "divergence.py",
        "probe.py",
    }
    | {
        "agreement.py",
        "pitfalls.py",
        "datasets.py",
        "idx.py",
        "idx_data.py",
        "intake",
        "version.py",
    }
)
_PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy")


def digest_of(
    files: Iterable[Path], base: Path, recipe: Recipe, packages: Iterable[str] = ()
) -> str:
    """SHA-256 over source files, the user's model module and the versions of what they stand on; 64
    hex digits.

    Args:
        files: sources, below `base`.
        base: what their names are taken relative to.
        recipe: names the model's module.
        packages: further installed packages whose versions count.
    """
    sha = hashlib.sha256()
    for path in sorted(files):
        sha.update(path.relative_to(base).as_posix().encode() + b"\0" + path.read_bytes())
    module = recipe.model.name.partition(":")[0]
    spec = importlib.util.find_spec(module) if ":" in recipe.model.name else None
    if spec is not None and spec.origin is not None:
        sha.update(Path(spec.origin).read_bytes())
    for package in (*_PACKAGES, *packages):
        sha.update(f"{package}=={importlib.metadata.version(package)}\0".encode())
    return sha.hexdigest()


def training_digest(recipe: Recipe) -> str:
    """The code that decides what a training gives."""
    sources = (
        path
        for path in LIBRARY.rglob("*.py")
        if not ONLOOKERS & set(path.relative_to(LIBRARY).parts)
    )
    return digest_of(sources, LIBRARY.parent, recipe)
