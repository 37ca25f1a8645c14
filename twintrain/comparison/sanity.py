"""Signs that a comparison, however exact, is one of two trainings that learned nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.comparison.comparison import TwinSummary
from twintrain.comparison.predictions import Folders
from twintrain.problems.measures import F1
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import TWINS, Recipe, TwinName
from twintrain.training.seed_record import SeedRecord

_ERRORS = 4  # standard errors below chance that count as far below it


@dataclass(frozen=True)
class _Outcome:
    """What one training says of the test examples."""

    targets: np.ndarray
    outputs: npt.NDArray[np.float32]
    loss: list[Any]


def warnings_of(
    recipe: Recipe,
    problem: Problem,
    records: Folders,
    twins: Mapping[TwinName, TwinSummary],
) -> list[str]:
    """What a reader has to know first, one sentence each; none where all is as it should be.

    Args:
        recipe: names the seeds.
        problem: judges the outputs.
        records: per twin, what its trainings left.
        twins: their figures.
    """
    found: dict[str, dict[TwinName, list[float]]] = {}
    for twin in TWINS:
        for place, seed in enumerate(recipe.seeds):
            kept = SeedRecord.read(SeedRecord.place(records[twin], seed)).predictions
            losses = twins[twin].history[place].get("loss", [])
            for text, figure in _signs(problem, _Outcome(kept.targets, kept.outputs, losses)):
                found.setdefault(text, {}).setdefault(twin, []).append(figure)
    return [_told(text, who, len(recipe.seeds)) for text, who in found.items()]


def _told(text: str, who: Mapping[TwinName, list[float]], seeds: int) -> str:
    """A sign, after whose trainings show it and how many of them.

    Args:
        text: may ask for one figure, which is then the mean of theirs.
        who: per twin, the figure of each training that shows it.
        seeds: trainings of each twin.
    """
    told = text.format(np.mean([figure for figures in who.values() for figure in figures]))
    if all(len(who.get(twin, [])) == seeds for twin in TWINS):
        return f"Both twins: {told}"
    parts = [f"{twin} with {len(figures)} of {seeds}" for twin, figures in who.items()]
    return f"{' and '.join(parts)} seed{'s' if seeds > 1 else ''}: {told}".capitalize()


def _signs(problem: Problem, of: _Outcome) -> Iterator[tuple[str, float]]:
    """Each sign with a figure that its text may ask for."""
    if len(of.outputs) > 1 and not np.ptp(of.outputs, axis=0).any():
        yield "every test example is predicted alike; nothing was learned from the inputs.", 0.0
    elif (chosen := problem.task.choices(of.outputs)) is not None:
        chosen_counts = problem.task.metric.counts or problem.task.measure.NAME == F1.NAME
        classes = problem.spec.classes or 2
        yield from _signs_of_classes(of.targets, chosen.chosen, classes, chosen_counts)
    elif of.outputs.size == of.targets.size:
        yield from _signs_of_numbers(of.targets, of.outputs)
    losses = [np.nan if value is None else value for value in of.loss]
    if len(losses) > 1 and min(losses[1:]) > losses[0]:
        yield (
            "the training loss rises from the first epoch and never comes back below it; the "
            "learning rate may be too high.",
            0.0,
        )


def _signs_of_classes(
    targets: np.ndarray, chosen: npt.NDArray[np.int64], classes: int, chosen_counts: bool
) -> Iterator[tuple[str, float]]:
    actual = targets.reshape(len(targets)).astype(np.int64)
    # A rare class that never passes 0.5 is no fault where only probabilities are judged.
    if chosen_counts and len(np.unique(chosen)) == 1 and len(np.unique(actual)) > 1:
        yield "every test example is given the same class.", 0.0
    # Not by how often each class occurs: weights of classes, and metrics other than accuracy, give
    # up much of that on purpose.
    chance, right = 1 / classes, float((chosen == actual).mean())
    if right < chance - _ERRORS * float(np.sqrt(chance * (1 - chance) / len(actual))):
        yield (
            "{:.1%} of the test examples are classified right, where guessing gives "
            f"{chance:.1%}; labels may not belong to their inputs, in one of the splits.",
            right,
        )


def _signs_of_numbers(
    targets: np.ndarray, outputs: npt.NDArray[np.float32]
) -> Iterator[tuple[str, float]]:
    actual = targets.reshape(-1).astype(np.float64)
    apart = (outputs.reshape(-1) - actual) ** 2
    spread = (actual - actual.mean()) ** 2
    worse = apart - spread
    error = float(worse.std() / np.sqrt(len(worse)))
    if spread.any() and float(worse.mean()) > _ERRORS * error:
        yield "the squared errors are larger than those of always predicting the mean.", 0.0
