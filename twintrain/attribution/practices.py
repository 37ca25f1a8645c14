"""Practices: groups of recipe fields that people get right or wrong together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twintrain.errors import TwintrainError
from twintrain.recipe.recipe import Recipe, put

# Practice -> fields, or whole sections.
_GROUPS: dict[str, tuple[str, ...]] = {
    "shuffling": ("training.shuffle",),
    "optimizer and tuning": ("optimizer", "schedule", "training.batch_size"),
    "training length": ("training.epochs",),
    "input scaling": ("training.input_scale",),
    "class weights": ("training.class_weight",),
    "augmentation": ("augmentation",),
    "regularization": ("regularization",),
    "fine-tuning": ("fine_tuning",),
    "early stopping": ("early_stopping", "data.validation_fraction", "data.validation_seed"),
    "training flag": ("training.training_flag",),
    "graph execution": ("training.compiled",),
    "numerics": ("execution",),
}
# They change what a training does to the data in no way, or to the last bits only; whether that is
# so is measured.
PER_STEP = frozenset({"training flag", "graph execution", "numerics"})
_NO_PRACTICE = ("name", "seeds", "comparison", "attribution", "tuning")
_NO_EFFECT = ("training.evaluation_batch_size", "data.memory_limit_mb")
_SHARED = ("problem.module", "data.limit", "data.image_shape", "data.unreadable_rows")


@dataclass(frozen=True)
class Practice:
    """One difference between two recipes.

    Attributes:
        name: 'shuffling', or a field's own name where it belongs to no group.
        changes: field -> (value in the first recipe, value in the second).
    """

    name: str
    changes: dict[str, tuple[Any, Any]]


def practices_between(start: Recipe, end: Recipe) -> list[Practice]:
    """The practices in which two recipes (each as its twin obeys it) differ, in a fixed order.

    Raises:
        TwintrainError: the recipes are about different data.
    """
    before, after = start.fields(), end.fields()
    changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    changed = {
        key: pair for key, pair in changed.items() if not _within(key, (*_NO_PRACTICE, *_NO_EFFECT))
    }
    for key, (one, other) in changed.items():
        if key in _SHARED:
            raise TwintrainError(
                f"The two recipes are about different data: {key} is {one} in one and {other} in "
                "the other.",
                f"Give both the same, with --set {key}=…",
            )
    groups: dict[str, dict[str, tuple[Any, Any]]] = {}
    for key, pair in changed.items():
        groups.setdefault(_group_of(key), {})[key] = pair
    _join_phases_and_length(groups, start, end)
    order = {name: place for place, name in enumerate(_GROUPS)}
    return [
        Practice(name, groups[name])
        for name in sorted(groups, key=lambda name: (order.get(name, 99), name))
    ]


def _join_phases_and_length(
    groups: dict[str, dict[str, tuple[Any, Any]]], start: Recipe, end: Recipe
) -> None:
    """One practice of the two where the phases of one recipe do not fit into the epochs of the
    other: they cannot be switched apart.
    """
    if not {"training length", "fine-tuning"} <= set(groups):
        return
    pairs = ((start, end), (end, start))
    if any(one.fine_tuning.frozen_epochs >= other.training.epochs for one, other in pairs):
        groups["fine-tuning"] |= groups.pop("training length")


def mixed(start: Recipe, practices: Iterable[Practice], switched: Iterable[str]) -> Recipe:
    """The first recipe with some practices taken from the second.

    Args:
        start: the first recipe, as its twin obeys it.
        practices: all that differ.
        switched: names of those to take from the second.
    """
    tree, chosen = start.model_dump(mode="json"), set(switched)
    for practice in practices:
        if practice.name in chosen:
            for key, (_, value) in practice.changes.items():
                put(tree, key, value)
    return Recipe.model_validate(tree)


def _group_of(key: str) -> str:
    return next((name for name, fields in _GROUPS.items() if _within(key, fields)), key)


def _within(key: str, fields: Iterable[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in fields)
