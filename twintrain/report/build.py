"""From the records of the two trainings to a `Comparison`."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twintrain.agreement import SeedAgreement
from twintrain.divergence import LockstepResult
from twintrain.errors import TwintrainError
from twintrain.recipe import Recipe
from twintrain.report.comparison import Comparison, EvaluatorResult, Parity, SeedAccuracy, Slice, TwinSummary
from twintrain.report.sentence import sentence
from twintrain.statistics import PairedEstimate, holm, paired_estimate, paired_table, verdict

INK_NAMES = ("light", "medium", "heavy")
_PACKAGES = ("tensorflow", "keras", "keras-tuner", "numpy", "tfx", "apache-beam")


@dataclass(frozen=True)
class Inputs:
    """What a comparison is made of.

    Attributes:
        recipe: the comparison's recipe.
        fit, loop: folders of records as `twintrain.training.seeds` writes them.
        trials: per twin, its tuning trials.
        agreement: per seed.
        lockstep: the first steps, side by side.
        ink: ink bucket of each test example, int64 [n], in canonical order.
        evaluator_accuracy: per twin, what the Evaluator measured for the first seed; slice name -> share.
        blessed: the Evaluator's blessing.
        data: examples per split and label.
    """

    recipe: Recipe
    fit: Path
    loop: Path
    trials: dict[str, list[dict[str, Any]]]
    agreement: list[SeedAgreement]
    lockstep: LockstepResult
    ink: npt.NDArray[np.int64]
    evaluator_accuracy: dict[str, dict[str, float]]
    blessed: bool
    data: dict[str, Any]


@dataclass(frozen=True)
class _Predictions:
    labels: npt.NDArray[np.int64]
    correct: dict[str, npt.NDArray[np.bool_]]  # per twin, [seeds, examples]

    @property
    def differences(self) -> npt.NDArray[np.int8]:
        return self.correct["loop"].astype(np.int8) - self.correct["fit"].astype(np.int8)


def build_comparison(inputs: Inputs) -> Comparison:
    """Compare the twins slice by slice.

    Raises:
        TwintrainError: the records do not belong together, a twin predicts NaN, or the Evaluator's figures contradict
            the recorded predictions.
    """
    recipe = inputs.recipe
    predictions = _predictions(inputs)
    agreement = sorted(inputs.agreement, key=lambda seed: recipe.seeds.index(seed.seed))
    identical = all(seed.max_abs_difference == 0 and seed.same_batches for seed in agreement)
    identical = identical and not predictions.differences.any()
    slices = _slices(inputs, predictions, identical)
    _check_against_evaluator(slices, inputs.evaluator_accuracy, recipe.seeds[0])
    overall = slices[0]
    parity = Parity(
        max_abs_difference=max(seed.max_abs_difference for seed in agreement),
        same_batches=all(seed.same_batches for seed in agreement),
        same_history=all(seed.same_history for seed in agreement),
        seeds=agreement,
        lockstep=inputs.lockstep,
    )
    first = {twin: accuracies["overall"] for twin, accuracies in inputs.evaluator_accuracy.items()}
    return Comparison(
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        verdict=overall.verdict,
        sentence=sentence(overall, recipe, parity),
        gap_points=overall.difference_points,
        gap_ci95_points=overall.ci95_points,
        margin_points=recipe.comparison.margin_points,
        seeds=list(recipe.seeds),
        twins={
            "fit": _summary(inputs.fit, recipe, predictions.correct["fit"], inputs.trials["fit"]),
            "loop": _summary(inputs.loop, recipe, predictions.correct["loop"], inputs.trials["loop"]),
        },
        slices=slices,
        parity=parity,
        evaluator=EvaluatorResult(
            seed=recipe.seeds[0], fit_accuracy=first["fit"], loop_accuracy=first["loop"], blessed=inputs.blessed
        ),
        data=inputs.data,
        recipe_name=recipe.name,
        recipe_hash=recipe.hash,
        recipe=recipe.model_dump(mode="json"),
        deviations=dict(recipe.loop),
        versions=_versions(),
    )


def _predictions(inputs: Inputs) -> _Predictions:
    correct: dict[str, list[npt.NDArray[np.bool_]]] = {"fit": [], "loop": []}
    ids: npt.NDArray[np.bytes_] | None = None
    labels = np.empty(0, np.int64)
    for seed in inputs.recipe.seeds:
        for twin, folder in (("fit", inputs.fit), ("loop", inputs.loop)):
            path = folder / f"seed-{seed}" / "predictions.npz"
            if not path.exists():
                raise TwintrainError(f"The {twin} twin left no predictions for seed {seed}.", "Run the pipeline again.")
            with np.load(path) as saved:
                if ids is None:
                    ids, labels = saved["ids"], saved["labels"]
                if not np.array_equal(ids, saved["ids"]) or not np.array_equal(labels, saved["labels"]):
                    raise TwintrainError(
                        f"{path} was made from other test examples than the rest.", "Compare results of the same data."
                    )
                probabilities = saved["probabilities"]
            if not np.isfinite(probabilities).all():
                bad = int((~np.isfinite(probabilities)).any(axis=1).sum())
                raise TwintrainError(
                    f"The {twin} twin with seed {seed} predicts NaN or infinity for {bad:,} of {len(labels):,} examples.",
                    "Its training diverged: lower optimizer.learning_rate, or clip gradients (optimizer.clipnorm).",
                )
            correct[twin].append(probabilities.argmax(axis=1) == labels)
    return _Predictions(labels, {twin: np.stack(rows) for twin, rows in correct.items()})


def _slices(inputs: Inputs, predictions: _Predictions, identical: bool) -> list[Slice]:
    masks = {"overall": np.ones(len(predictions.labels), bool)}
    masks |= {f"label={label}": predictions.labels == label for label in np.unique(predictions.labels)}
    masks |= {f"ink={INK_NAMES[bucket]}": inputs.ink == bucket for bucket in np.unique(inputs.ink)}
    estimates = {name: paired_estimate(predictions.differences[:, mask]) for name, mask in masks.items()}
    adjusted = [estimates["overall"].p_value, *holm([e.p_value for n, e in estimates.items() if n != "overall"])]
    margin = inputs.recipe.comparison.margin_points / 100
    return [
        _slice(
            name, masks[name], predictions, estimate, p, verdict(estimate, p, margin, identical), inputs.recipe.seeds
        )
        for (name, estimate), p in zip(estimates.items(), adjusted, strict=True)
    ]


def _slice(
    name: str,
    mask: npt.NDArray[np.bool_],
    predictions: _Predictions,
    estimate: PairedEstimate,
    p_value: float,
    word: Any,
    seeds: tuple[int, ...],
) -> Slice:
    fit = predictions.correct["fit"][:, mask].mean(axis=1)
    loop = predictions.correct["loop"][:, mask].mean(axis=1)
    # Twins with the same weights differ by zero for certain; an interval would claim a doubt there is not.
    interval = (0.0, 0.0) if word == "identical" else (100 * estimate.low, 100 * estimate.high)
    return Slice(
        name=name,
        n=int(mask.sum()),
        fit_accuracy=float(fit.mean()),
        loop_accuracy=float(loop.mean()),
        difference_points=100 * estimate.difference,
        ci95_points=interval,
        p_value=p_value,
        mcnemar_p=paired_table(*(predictions.correct[twin][0, mask] for twin in ("fit", "loop"))).mcnemar_p,
        verdict=word,
        seeds=[
            SeedAccuracy(seed=seed, fit_accuracy=float(f), loop_accuracy=float(g), difference_points=100 * float(g - f))
            for seed, f, g in zip(seeds, fit, loop, strict=True)
        ],
    )


def _summary(folder: Path, recipe: Recipe, correct: npt.NDArray[np.bool_], trials: list[dict[str, Any]]) -> TwinSummary:
    records = [
        json.loads((folder / f"seed-{seed}" / "record.json").read_text(encoding="utf-8")) for seed in recipe.seeds
    ]
    accuracy = correct.mean(axis=1)
    return TwinSummary(
        accuracy=[float(value) for value in accuracy],
        mean_accuracy=float(accuracy.mean()),
        history=[{name: _finite(values) for name, values in record["history"].items()} for record in records],
        epochs=[record["epochs"] for record in records],
        best_epoch=[record["best_epoch"] for record in records],
        train_seconds=[sum(record["epoch_seconds"]) for record in records],
        images_per_second=[record["images_per_second"] for record in records],
        peak_memory_mb=max(record["peak_memory_mb"] for record in records),
        devices=records[0]["devices"],
        trials=[{key: _finite([value])[0] for key, value in trial.items()} for trial in trials],
    )


def _finite(values: list[Any]) -> list[Any]:
    """JSON has no NaN and no infinity: a figure that is none of the numbers is None."""
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]


def _check_against_evaluator(slices: list[Slice], measured: dict[str, dict[str, float]], seed: int) -> None:
    """The Evaluator ran the exported models on raw examples; the records hold what the trainers predicted."""
    for part in slices:
        (own,) = (row for row in part.seeds if row.seed == seed)
        for twin, ours in (("fit", own.fit_accuracy), ("loop", own.loop_accuracy)):
            theirs = measured[twin].get(part.name)
            # One example may tip over where serving computes in another batch size.
            if theirs is None or abs(theirs - ours) > 1.5 / part.n:
                raise TwintrainError(
                    f"The exported {twin} model scores {theirs} on slice {part.name}, its trainer measured {ours:.4f}.",
                    "Preprocessing at serving differs from training, or the artifacts are mixed up.",
                )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("twintrain", *_PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
