"""Slices of the test examples: which there are, and the paired difference on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.comparison.comparison import SeedAccuracy, Slice, Table
from twintrain.comparison.predictions import PairedPredictions
from twintrain.errors import TwintrainError
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import TWINS, Recipe, TwinName
from twintrain.statistics.paired import (
    PairedEstimate,
    PairedTable,
    Verdict,
    holm,
    paired_estimate,
    paired_table,
    verdict,
)

OVERALL = "overall"
# A lead, in probability, that a GPU's rounding can undo: it multiplies float32 in TF32 by default,
# with 11 bits, and mixed precision has 8 or 11.
CLOSE = 0.02
FEW = 30  # examples below which a slice's note says that it tells little


SliceValues = Mapping[str, npt.NDArray[np.int64]]  # by slice key, the value of each test example


def slice_name(recipe: Recipe, problem: Problem, key: Mapping[str, int]) -> str:
    """'overall', 'label=3', 'label=3 ink=light'; label names in place of numbers where they are
    given.
    """
    named = {name: problem.slice_value_name(recipe, name, int(key[name])) for name in key}
    return " ".join(f"{name}={named[name]}" for name in problem.SLICE_KEYS if name in named) or (
        OVERALL
    )


def masks(
    recipe: Recipe, problem: Problem, values: SliceValues
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which examples are in each slice that has any; 'overall' first.

    Args:
        recipe: says which slices.
        problem: says what they are called.
        values: of each test example, int64 [examples].
    """
    examples = len(next(iter(values.values())))
    found = {OVERALL: np.ones(examples, bool)}
    for keys in recipe.comparison.slices:
        for combination in product(*(np.unique(values[key]) for key in keys)):
            pairs = list(zip(keys, combination, strict=True))
            mask = np.all([values[key] == value for key, value in pairs], axis=0)
            if mask.any():
                found[slice_name(recipe, problem, dict(pairs))] = mask
    return found


def compare_slices(
    recipe: Recipe,
    predictions: PairedPredictions,
    chosen: Mapping[str, npt.NDArray[np.bool_]],
    identical: bool,
) -> list[Slice]:
    """The paired comparison on every slice; p-values below 'overall' are adjusted for their number.

    Args:
        recipe: margin and seeds.
        predictions: of both twins.
        chosen: what `masks` gave.
        identical: the twins are known to be the same.
    """
    differences, right = predictions.differences, predictions.right
    estimates = {name: paired_estimate(differences[:, mask]) for name, mask in chosen.items()}
    adjusted = [
        estimates[OVERALL].p_value,
        *holm([e.p_value for n, e in estimates.items() if n != OVERALL]),
    ]
    margin = recipe.comparison.margin_points / 100
    found = []
    for (name, estimate), p_value in zip(estimates.items(), adjusted, strict=True):
        mask = chosen[name]
        # Of the models at hand, whatever other seeds would give: two or three seeds could never
        # tell at the levels that a trend over many spans asks for.
        at_hand = paired_estimate(differences[:, mask].mean(axis=0, keepdims=True))
        found.append(
            _slice(
                name,
                {twin: rows[:, mask] for twin, rows in right.items()},
                estimate,
                p_value,
                margin,
                at_hand.beyond_p(margin),
                verdict(estimate, p_value, margin, identical),
                recipe.seeds,
            )
        )
    return found


def _slice(
    name: str,
    right: Mapping[TwinName, npt.NDArray[np.bool_]],
    estimate: PairedEstimate,
    p_value: float,
    margin: float,
    beyond: float,
    word: Verdict,
    seeds: tuple[int, ...],
) -> Slice:
    fit, loop = (right[twin].mean(axis=1) for twin in TWINS)
    table = paired_table(right["fit"][0], right["loop"][0])
    # Twins with the same weights differ by zero for certain; an interval would claim a doubt there
    # is not.
    interval = (0.0, 0.0) if word == "identical" else (100 * estimate.low, 100 * estimate.high)
    return Slice(
        name=name,
        n=table.n,
        fit_accuracy=float(fit.mean()),
        loop_accuracy=float(loop.mean()),
        difference_points=100 * estimate.difference,
        ci95_points=interval,
        p_value=1.0 if word == "identical" else p_value,
        beyond_p=1.0 if word == "identical" else beyond,
        equivalence_p=0.0 if word == "identical" else estimate.equivalence_p(margin),
        table=Table(**vars(table)),
        mcnemar_p=table.mcnemar_p,
        verdict=word,
        seeds=[
            SeedAccuracy(
                seed=seed,
                fit_accuracy=float(f),
                loop_accuracy=float(g),
                difference_points=100 * float(g - f),
            )
            for seed, f, g in zip(seeds, fit, loop, strict=True)
        ],
    )


def check_against_evaluator(
    predictions: PairedPredictions,
    chosen: Mapping[str, npt.NDArray[np.bool_]],
    slices: list[Slice],
    measured: Mapping[str, PairedTable],
    devices: Mapping[TwinName, list[str]],
) -> None:
    """The Evaluator ran the exported models on raw examples; the records hold what the trainers
    predicted.

    Args:
        predictions: of the trainers.
        chosen: what `masks` gave.
        slices: as the trainers counted.
        measured: as the Evaluator, on a CPU, counted, by slice.
        devices: kinds of devices each twin was trained on.

    Raises:
        TwintrainError: the two contradict each other.
    """
    for part in slices:
        theirs = measured.get(part.name)
        for twin in TWINS:
            own = part.table.both_right + getattr(part.table, f"only_{twin}")
            other = None
            if theirs is not None and theirs.n == part.n:
                other = theirs.both_right + getattr(theirs, f"only_{twin}")
            # One example may tip over where serving computes in another batch size; of what a GPU
            # has predicted, any that is close to a tie.
            close = 0
            if "GPU" in devices[twin] and predictions.choices[twin]:
                close = int((predictions.choices[twin][0].lead[chosen[part.name]] < CLOSE).sum())
            if other is not None and abs(other - own) <= max(1, close):
                continue
            raise TwintrainError(
                f"On slice {part.name} the exported {twin} model is right on {other} examples, its "
                f"trainer counted {own} of {part.n}.",
                "Preprocessing at serving differs from training, or the artifacts are mixed up.",
            )


def remarks(
    recipe: Recipe,
    problem: Problem,
    slices: list[Slice],
    data: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    """What a reader must know about the slices before believing them."""
    tested = data["eval"].get("labels", {})
    for label in data["train"].get("labels", {}):
        if not tested.get(label):
            name = slice_name(recipe, problem, {problem.TARGET: int(label)})
            yield f"No test example has {name}: nothing can be said about it."
    small = [part for part in slices if part.n < FEW]
    if small:
        named = ", ".join(f"{part.name} ({part.n})" for part in small[:8])
        more = f" and {len(small) - 8} more" if len(small) > 8 else ""
        yield f"Slices of fewer than {FEW} test examples tell little by themselves: {named}{more}."
