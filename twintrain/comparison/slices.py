"""Slices of the test examples: which there are, and the paired difference on each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.comparison.comparison import Counted, SeedScore, Slice, Table
from twintrain.comparison.predictions import PairedPredictions
from twintrain.data.overlap import Overlap
from twintrain.errors import TwintrainError
from twintrain.problems.metric import Metric
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import TWINS, Recipe, TwinName
from twintrain.statistics.paired import (
    PairedEstimate,
    holm,
    paired_estimate,
    paired_table,
    verdict,
)

OVERALL = "overall"
# A lead, in probability, that a GPU's rounding can undo: it multiplies float32 in TF32 by default,
# with 11 bits, and mixed precision has 8 or 11.
CLOSE = 0.02
ROUNDING = 1e-4  # of a mean of errors: other batch sizes at serving round otherwise
FEW = 30  # examples below which a slice's note says that it tells little
_TOLD = 8  # slices that one note names


# By slice key, the value of each test example: a code that the problem has a name for, or a name.
SliceValues = Mapping[str, npt.NDArray[np.int64] | npt.NDArray[np.str_]]


@dataclass(frozen=True)
class Rules:
    """What twins are held to.

    Attributes:
        metric: what is compared.
        margin: inside of which they are equivalent, in the metric's unit.
        seeds: one training of each twin per seed.
    """

    metric: Metric
    margin: float
    seeds: tuple[int, ...]


def slice_name(recipe: Recipe, problem: Problem, key: Mapping[str, int | str]) -> str:
    """'overall', 'label=3', 'label=3 ink=light'; label names in place of numbers where they are
    given.
    """
    named = {
        name: value if isinstance(value, str) else problem.slice_value_name(recipe, name, value)
        for name, value in key.items()
    }
    keys = problem.statement.slice_keys
    return " ".join(f"{name}={named[name]}" for name in keys if name in named) or OVERALL


def masks(
    recipe: Recipe, problem: Problem, values: SliceValues, targets: np.ndarray
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which examples are in each slice of which there is the metric; 'overall' first.

    Args:
        recipe: says which slices.
        problem: says what they are called, and what is measured.
        values: of each test example, [examples].
        targets: of each test example, [examples].
    """
    found = {OVERALL: np.ones(len(targets), bool)}
    for name, mask in combinations(recipe, problem, values, problem.statement.slices_of(recipe)):
        if lacking_on(problem, targets[mask]) is None:
            found[name] = mask
    return found


def left_out(
    recipe: Recipe, problem: Problem, values: SliceValues, targets: np.ndarray
) -> dict[str, str]:
    """By slice of which there is no such metric, what it lacks. The arguments are those of
    `masks`.
    """
    lacking = {
        name: lacking_on(problem, targets[mask])
        for name, mask in combinations(recipe, problem, values, problem.statement.slices_of(recipe))
    }
    return {name: what for name, what in lacking.items() if what is not None}


def lacking_on(problem: Problem, targets: np.ndarray) -> str | None:
    """What examples with these targets lack for their metric to be compared; None for nothing."""
    # Of one example, an error says nothing of how much others would differ.
    if len(targets) < (1 if problem.task.metric.counts else 2):
        return "a second example"
    return problem.task.measure.lacking(targets)


def combinations(
    recipe: Recipe, problem: Problem, values: SliceValues, crosses: Iterable[tuple[str, ...]]
) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """The slices by some keys, or crosses of keys, that have any examples, and which."""
    for keys in crosses:
        for combination in product(*(np.unique(values[key]) for key in keys)):
            pairs = [(key, value.item()) for key, value in zip(keys, combination, strict=True)]
            mask = np.all([values[key] == value for key, value in pairs], axis=0)
            if mask.any():
                yield slice_name(recipe, problem, dict(pairs)), mask


def compare_slices(
    rules: Rules,
    predictions: PairedPredictions,
    chosen: Mapping[str, npt.NDArray[np.bool_]],
    identical: bool,
) -> list[Slice]:
    """The paired comparison on every slice; p-values below 'overall' are adjusted for their number.

    Args:
        rules: metric, margin and seeds.
        predictions: of both twins.
        chosen: what `masks` gave.
        identical: the twins are known to be the same.
    """
    counts = rules.metric.counts
    scores = {name: predictions.scores_on(mask) for name, mask in chosen.items()}
    differences = {name: of["loop"] - of["fit"] for name, of in scores.items()}
    estimates = {name: paired_estimate(d, counts) for name, d in differences.items()}
    adjusted = [
        estimates[OVERALL].p_value,
        *holm([e.p_value for n, e in estimates.items() if n != OVERALL]),
    ]
    found = []
    for (name, estimate), p_value in zip(estimates.items(), adjusted, strict=True):
        # Of the models at hand, whatever other seeds would give: two or three seeds could never
        # tell at the levels that a trend over many spans asks for.
        at_hand = paired_estimate(differences[name].mean(axis=0, keepdims=True), counts)
        found.append(_slice(name, rules, scores[name], estimate, p_value, at_hand, identical))
    return found


def _slice(
    name: str,
    rules: Rules,
    scores: Mapping[TwinName, npt.NDArray[np.float64]],
    estimate: PairedEstimate,
    p_value: float,
    at_hand: PairedEstimate,
    identical: bool,
) -> Slice:
    metric, margin = rules.metric, rules.margin / rules.metric.scale
    word = verdict(estimate, p_value, margin, identical, metric.higher_is_better)
    fit, loop = (scores[twin].mean(axis=1) for twin in TWINS)
    table = paired_table(*(scores[twin][0] == 1 for twin in TWINS)) if metric.counts else None
    # Twins with the same weights differ by zero for certain; an interval would claim a doubt there
    # is not.
    same, scale = word == "identical", metric.scale
    return Slice(
        name=name,
        n=scores["fit"].shape[1],
        fit_score=float(fit.mean()),
        loop_score=float(loop.mean()),
        difference=scale * estimate.difference,
        ci95=(0.0, 0.0) if same else (scale * estimate.low, scale * estimate.high),
        p_value=1.0 if same else p_value,
        beyond_p=1.0 if same else at_hand.beyond_p(margin),
        equivalence_p=0.0 if same else estimate.equivalence_p(margin),
        table=None if table is None else Table(**vars(table)),
        mcnemar_p=None if table is None else table.mcnemar_p,
        verdict=word,
        seeds=[
            SeedScore(
                seed=seed,
                fit_score=float(f),
                loop_score=float(g),
                difference=scale * float(g - f),
            )
            for seed, f, g in zip(rules.seeds, fit, loop, strict=True)
        ],
    )


def check_against_evaluator(
    predictions: PairedPredictions,
    metric: Metric,
    chosen: Mapping[str, npt.NDArray[np.bool_]],
    slices: list[Slice],
    measured: Mapping[str, Counted],
    devices: Mapping[TwinName, list[str]],
) -> None:
    """The Evaluator ran the exported models on raw examples; the records hold what the trainers
    predicted.

    Args:
        predictions: of the trainers.
        metric: what is counted.
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
            own = getattr(part.seeds[0], f"{twin}_score")
            other = None
            if theirs is not None and theirs.n == part.n:
                other = getattr(theirs, f"{twin}_score")
            allowed = _rounding(predictions, twin, chosen[part.name], "GPU" in devices[twin])
            if other is not None and abs(other - own) <= allowed:
                continue
            told = "nothing" if other is None else metric.score_text(other)
            raise TwintrainError(
                f"On slice {part.name} the exported {twin} model has {told} ({metric.name}), its "
                f"trainer {metric.score_text(own)}, of {part.n:,} examples.",
                "Preprocessing at serving differs from training, or the artifacts are mixed up.",
            )


def _rounding(
    predictions: PairedPredictions, twin: TwinName, mask: npt.NDArray[np.bool_], on_gpu: bool
) -> float:
    """By how much a score of some examples may differ where serving rounds otherwise."""
    measure, scores = predictions.judge.measure, predictions.scores_on(mask)[twin][0]
    if not measure.TIPS:
        return (CLOSE if on_gpu else ROUNDING) * max(abs(float(scores.mean())), 1e-6)
    # One example may tip over where serving computes in another batch size; of what a GPU has
    # predicted, any that is close to a tie.
    close = 0
    if on_gpu and predictions.leads.get(twin):
        close = int((predictions.leads[twin][0][mask] < CLOSE).sum())
    weight = 1.0
    if not measure.ADDITIVE:
        weight = float(np.abs(scores - scores.mean()).max())
    return (max(1, close) + 0.5) * weight / len(scores)


def unreadable_rows(told: Mapping[str, Any]) -> str:
    """A remark on rows that were left out, of what `table_unreadable.as_told` has."""
    return (
        f"{told['rows']:,} rows of the data cannot be read and were left out, of training or test: "
        f"{told['first']}."
    )


def remarks(
    recipe: Recipe,
    problem: Problem,
    slices: list[Slice],
    data: Mapping[str, Mapping[str, Any]],
    without: Mapping[str, str],
) -> Iterator[str]:
    """What a reader must know about the slices before believing them.

    Args:
        recipe: the comparison's.
        problem: what was learned.
        slices: as they were compared.
        data: per split, the number of examples and of each label; see `with_overlap`.
        without: what `left_out` gave.
    """
    tested = data["eval"].get("labels", {})
    for label in data["train"].get("labels", {}):
        if not tested.get(label):
            target = problem.statement.target
            name = f"{target}={problem.slice_value_name(recipe, target, int(label))}"
            yield f"No test example has {name}: nothing can be said about it."
    shared = Overlap.model_validate(data["eval"]["overlap"]) if "overlap" in data["eval"] else None
    if shared is not None and (shared.share or shared.rows_stand_out):
        yield shared.describe()
    if "unreadable" in data["train"]:
        yield unreadable_rows(data["train"]["unreadable"])
    for name, count in data["eval"].get("unseen", {}).items():
        yield (
            f"{count:,} of {data['eval']['examples']:,} test examples have a value of {name} that "
            "no training example has: to the model all such values are one."
        )
    for name, lacking in list(without.items())[:_TOLD]:
        yield f"There is no {problem.task.metric.name} of slice {name}: it needs {lacking}."
    if len(without) > _TOLD:
        yield f"Nor of {len(without) - _TOLD} more slices."
    small = [part for part in slices if part.n < FEW]
    if small:
        named = ", ".join(f"{part.name} ({part.n})" for part in small[:_TOLD])
        more = f" and {len(small) - _TOLD} more" if len(small) > _TOLD else ""
        yield f"Slices of fewer than {FEW} test examples tell little by themselves: {named}{more}."
