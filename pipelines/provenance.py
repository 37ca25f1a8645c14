"""Which code a node's result was made by: a digest of what decides it, and of nothing else."""

from __future__ import annotations

from pathlib import Path

from pipelines.config import REPOSITORY
from pipelines.nodes import BY_ID
from twintrain.recipe.recipe import Recipe
from twintrain.training.provenance import digest_of

_PACKAGES = ("tfx", "tensorflow-transform")


def code_digest(recipe: Recipe, node: str, repository: Path = REPOSITORY) -> str:
    """SHA-256, 64 hexadecimal digits, over the code that decides a node's result: ours, the user's
    model module, and the versions of what they stand on.

    It is handed to the node, and names the folder of unfinished trainings, so that a change of code
    is never hidden by an earlier result.

    Args:
        recipe: names the model's module.
        node: the id; `pipelines.nodes` says what counts for it.
        repository: where the files lie.
    """
    return digest_of(deciding_files(node, repository), repository, recipe, _PACKAGES)


def deciding_files(node: str, repository: Path = REPOSITORY) -> frozenset[Path]:
    """The files that decide a node's result."""
    return frozenset(
        path for pattern in BY_ID[node].code for path in repository.glob(pattern) if path.is_file()
    )
