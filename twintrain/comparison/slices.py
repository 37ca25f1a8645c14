"""Slices of the test examples: which there are, and the paired difference on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import numpy.typing as npt

from twintrain.comparison.comparison import SeedAccuracy, Slice, Table
from twintrain.comparison.predictions import Predictions
from twintrain.errors import TwintrainError
from twintrain.recipe.recipe import Recipe
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
INK_NAMES = ("light", "medium", "heavy")
# A lead, in probability, that a GPU's rounding can undo: it multiplies float32 in TF32 by default,
# with 11 bits, and mixed precision has 8 or 11.
CLOSE = 0.02
FEW = 30  # examples below which a slice's note says that it tells little


def slice_name(key: Mapping[str, int], label_names: tuple[str, ...] = ()) -> str:
    """'overall', 'label=3', 'label=3 ink=light'; label names in place of numbers where they are
    given.
    """
    named = {
        feature: value_name(feature, int(value), label_names)
        for feature, value in sorted(key.items())
    }
    order = [feature for feature in ("label", "ink") if feature in named]
    return " ".join(f"{feature}={named[feature]}" for feature in order) or OVERALL


def value_name(feature: str, value: int, label_names: tuple[str, ...] = ()) -> str:
    """What a value is called: a label's name or number, an ink bucket's name."""
    if feature == "ink":
        return INK_NAMES[value]
    return label_names[value] if value < len(label_names) else str(value)


def masks(
    recipe: Recipe, features: Mapping[str, npt.NDArray[np.int64]]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which examples are in each slice that has any; 'overall' first.

    Args:
        recipe: says which slices.
        features: 'label' and 'ink' of each test example, int64 [examples].
    """
    found = {OVERALL: np.ones(len(features["label"]), bool)}
    for keys in recipe.comparison.slices:
        for values in product(*(np.unique(features[key]) for key in keys)):
            mask = np.all(
                [features[key] == value for key, value in zip(keys, values, strict=True)], axis=0
            )
            if mask.any():
                key: dict[str, int] = dict(zip(keys, map(int, values), strict=True))
                found[slice_name(key, recipe.comparison.label_names)] = mask
    return found


def compare_slices(
    recipe: Recipe, predictions: Predictions, ink: npt.NDArray[np.int64], identical: bool
) -> list[Slice]:
    """The paired comparison on every slice; p-values below 'overall' are adjusted for their number."""
    chosen = masks(recipe, {"label": predictions.labels, "ink": ink})
    differences, correct = predictions.differences, predictions.correct
    estimates = {name: paired_estimate(differences[:, mask]) for name, mask in chosen.items()}
    adjusted = [
        estimates[OVERALL].p_value,
        *holm([e.p_value for n, e in estimates.items() if n != OVERALL]),
    ]
    margin = recipe.comparison.margin_points / 100
    return [
        _slice(
            name,
            {twin: right[:, chosen[name]] for twin, right in correct.items()},
            estimate,
            p,
            margin,
            # Of the models at hand, whatever other seeds would give: two or three seeds could never
            # tell at the levels that a trend over many spans asks for.
            paired_estimate(differences[:, chosen[name]].mean(axis=0, keepdims=True)).beyond_p(
                margin
            ),
            verdict(estimate, p, margin, identical),
            recipe.seeds,
        )
        for (name, estimate), p in zip(estimates.items(), adjusted, strict=True)
    ]


def _slice(
    name: str,
    right: Mapping[str, npt.NDArray[np.bool_]],
    estimate: PairedEstimate,
    p_value: float,
    margin: float,
    beyond: float,
    word: Verdict,
    seeds: tuple[int, ...],
) -> Slice:
    fit, loop = (right[twin].mean(axis=1) for twin in ("fit", "loop"))
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
    recipe: Recipe,
    predictions: Predictions,
    ink: npt.NDArray[np.int64],
    slices: list[Slice],
    measured: Mapping[str, PairedTable],
    devices: Mapping[str, list[str]],
) -> None:
    """The Evaluator ran the exported models on raw examples; the records hold what the trainers
    predicted.

    Args:
        recipe: names the slices.
        predictions: of the trainers.
        ink: of each test example.
        slices: as the trainers counted.
        measured: as the Evaluator, on a CPU, counted, by slice.
        devices: kinds of devices each twin was trained on.

    Raises:
        TwintrainError: the two contradict each other.
    """
    chosen = masks(recipe, {"label": predictions.labels, "ink": ink})
    for part in slices:
        theirs = measured.get(part.name)
        for twin in ("fit", "loop"):
            own = part.table.both_right + getattr(part.table, f"only_{twin}")
            other = None if theirs is None else theirs.both_right + getattr(theirs, f"only_{twin}")
            # One example may tip over where serving computes in another batch size; of what a GPU
            # has predicted, any that is close to a tie.
            close = (
                int((predictions.lead[twin][0, chosen[part.name]] < CLOSE).sum())
                if "GPU" in devices[twin]
                else 0
            )
            if (
                other is None
                or theirs is None
                or theirs.n != part.n
                or abs(other - own) > max(1, close)
            ):
                raise TwintrainError(
                    f"On slice {part.name} the exported {twin} model is right on {other} examples, "
                    "its trainer "
                    f"counted {own} of {part.n}.",
                    "Preprocessing at serving differs from training, or the artifacts are mixed "
                    "up.",
                )


def remarks(
    recipe: Recipe, slices: list[Slice], data: Mapping[str, Mapping[str, object]]
) -> Iterator[str]:
    """What a reader must know about the slices before believing them."""
    trained = data["train"]["labels"]
    tested = data["eval"]["labels"]
    assert isinstance(trained, Mapping)
    assert isinstance(tested, Mapping)
    for label in trained:
        if not tested.get(label):
            name = slice_name({"label": int(label)}, recipe.comparison.label_names)
            yield f"No test example has {name}: nothing can be said about it."
    small = [part for part in slices if part.n < FEW]
    if small:
        named = ", ".join(f"{part.name} ({part.n})" for part in small[:8])
        more = f" and {len(small) - 8} more" if len(small) > 8 else ""
        yield f"Slices of fewer than {FEW} test examples tell little by themselves: {named}{more}."
