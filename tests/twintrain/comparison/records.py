"""Records of two twins made by hand, and what a comparison of them is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.twintrain.training.records import write_record
from twintrain.comparison.build import FromPipeline, Inputs
from twintrain.comparison.comparison import Counted
from twintrain.comparison.push_decision import Limits, decide
from twintrain.comparison.slices import masks
from twintrain.data.example_spec import labelled_images
from twintrain.parity.divergence import Divergence, LockstepResult
from twintrain.parity.run_agreement import SeedAgreement
from twintrain.problems.find import find_problem
from twintrain.recipe.recipe import Recipe
from twintrain.training.seed_record import SeedRecord

LABELS = np.arange(200) % 10
INK = np.arange(200) % 3
TRIAL = {
    "trial": "0",
    "learning_rate": 0.001,
    "batch_size": 32,
    "val_loss": 0.1,
    "val_accuracy": 0.9,
    "seconds": 1.0,
}
Wrong = dict[int, list[int]]  # seed -> examples that a twin gets wrong


def write_seed(folder: Path, twin: str, seed: int, wrong: list[int]) -> None:
    """The record of one seed that gets some examples wrong."""
    chosen = LABELS.copy()
    chosen[wrong] = (chosen[wrong] + 1) % 10
    outputs = np.eye(10, dtype=np.float32)[chosen]
    place = SeedRecord.place(folder, seed)
    write_record(place, twin=twin, seed=seed, targets=LABELS, outputs=outputs)


def inputs(
    tmp_path: Path,
    recipe: Recipe,
    fit_wrong: Wrong | None = None,
    loop_wrong: Wrong | None = None,
    weights_differ_by: float = 0.0,
) -> Inputs:
    """What a comparison of two twins is made of, the Evaluator agreeing with the records."""
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    right: dict[str, np.ndarray] = {}
    for twin, wrong in (("fit", fit_wrong or {}), ("loop", loop_wrong or {})):
        for seed in recipe.seeds:
            write_seed(tmp_path / twin, twin, seed, wrong.get(seed, []))
        right[twin] = np.ones(200, bool)
        right[twin][wrong.get(recipe.seeds[0], [])] = False
    values = {"label": LABELS, "ink": INK}
    evaluator = {
        name: Counted(
            n=int(mask.sum()),
            fit_score=float(right["fit"][mask].mean()),
            loop_score=float(right["loop"][mask].mean()),
        )
        for name, mask in masks(recipe, problem, values, LABELS).items()
    }
    scores = {twin: answers.astype(np.float64) for twin, answers in right.items()}
    margin = problem.statement.margin_of(recipe)
    limits = Limits(problem.task.metric, margin, recipe.comparison.threshold)
    agreement = [
        SeedAgreement(
            seed=seed,
            same_batches=True,
            first_different_batch=None,
            max_abs_difference=weights_differ_by,
            same_history=not weights_differ_by,
        )
        for seed in recipe.seeds
    ]
    summary = {"examples": 200, "labels": {str(label): 20 for label in range(10)}}
    return Inputs(
        recipe=recipe,
        problem=problem,
        records={twin: tmp_path / twin for twin in ("fit", "loop")},
        agreement=agreement,
        slice_values=values,
        data={"train": summary, "eval": dict(summary)},
        trials={"fit": [TRIAL], "loop": [TRIAL]},
        lockstep=lockstep(weights_differ_by),
        pipeline=FromPipeline(
            evaluator=evaluator,
            metrics={"accuracy": (float(right["fit"].mean()), float(right["loop"].mean()))},
            blessed=True,
            push=decide(limits, scores["loop"], scores["fit"], None, blessed=True),
        ),
    )


def lockstep(weights_differ_by: float) -> LockstepResult:
    """Two steps, equal or parting in the second."""
    parted = Divergence(
        step=2, stage="update", tensor="<kernel>", max_abs=0.1, max_rel=0.1, max_ulps=9
    )
    first = parted if weights_differ_by else None
    return LockstepResult(steps=2, first=first, curve=[0.0, weights_differ_by])
