"""Hyperparameter search for a twin: one space, equal trials, equal epochs, the same trials in the
same order.

Both twins go through `HyperModel.fit` and return the same dictionary, the figures of the epoch with
the lowest validation loss. (keras-tuner would score a `History` by its best epoch, but a returned
number as it is.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.errors import FatalError

from twintrain.data.example_store import ExampleStore
from twintrain.data.source import DataSource
from twintrain.data.tfrecord_source import hold_out
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.problems.problem import Problem
from twintrain.processes.progress import report_progress
from twintrain.processes.worker_group import WorkerGroup
from twintrain.recipe.recipe import Recipe, TwinName, put
from twintrain.training.registry import twin_of
from twintrain.training.twin import TwinJob
from twintrain.tuning.workers import Search, finished, help_search, in_a_group, run_workers

_LOST = "a worker ended early; what it left is run now"


@dataclass(frozen=True)
class TuningJob:
    """What to search: the twin, its recipe, the data, and the folder where the search keeps its
    state.
    """

    twin: TwinName
    recipe: Recipe
    data: DataSource
    folder: Path


@dataclass(frozen=True)
class TuningResult:
    """What a search found.

    Attributes:
        best: keras-tuner's configuration of the best hyperparameters.
        trials: every trial in the order it was run: 'trial', 'status', the values searched, the
            figures of its best epoch, 'best_epoch', 'seconds'; none where none was asked for.
    """

    best: dict[str, Any]
    trials: list[dict[str, Any]]


class TwinHyperModel(keras_tuner.HyperModel):
    """One twin as keras-tuner sees it."""

    def __init__(
        self,
        twin: TwinName,
        recipe: Recipe,
        problem: Problem,
        train: ExampleStore,
        validation: ExampleStore,
    ) -> None:
        super().__init__(name=f"twin_{twin}")
        self._twin, self._recipe, self._problem = twin, recipe, problem
        self._train, self._validation = train, validation
        self._trials = 0

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The model of a proposal. (keras-tuner also calls it to learn the space.)"""
        return self._problem.build_model(self._proposed(hp))

    def _proposed(self, hp: keras_tuner.HyperParameters) -> Recipe:
        return with_values(self._recipe, self._problem.suggest(hp, self._recipe))

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *_: Any, **__: Any
    ) -> dict[str, float]:
        """Train this twin with the proposed values.

        The twin builds and seeds its own model, so that a trial depends on its values alone and not
        on the trials before it.
        """
        tuning, proposed = self._recipe.tuning, self._proposed(hp)
        short = proposed.model_copy(
            update={"training": proposed.training.model_copy(update={"epochs": tuning.epochs})}
        )
        started = time.perf_counter()
        job = TwinJob(short, self._problem, self._train, self._validation, tuning.seed)
        try:
            result = twin_of(short, self._twin).train(job)
        except Exception as error:
            # Any other exception keras-tuner would count as a failed trial, try again, and at last
            # replace by its own.
            raise FatalError from error
        # keras-tuner gives up after three trials whose score is NaN; an infinite one is merely the
        # worst.
        losses = np.nan_to_num(result.history["val_loss"], nan=np.inf, posinf=np.inf)
        best = int(np.argmin(losses))
        figures = {name: values[best] for name, values in result.history.items()} | {
            "val_loss": float(losses[best])
        }
        if in_a_group():
            return {**figures, "best_epoch": best, "seconds": time.perf_counter() - started}
        self._trials += 1
        text = f"trial {self._trials}/{tuning.trials}, val_loss {figures['val_loss']:.4f}"
        report_progress(
            "progress",
            node=f"Tuner-{self._twin}",
            done=self._trials,
            total=tuning.trials,
            text=text,
        )
        return {**figures, "best_epoch": best, "seconds": time.perf_counter() - started}


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with the values of a trial in place of its own.

    Args:
        recipe: the recipe.
        values: by dotted field, as `Problem.suggest` names them.
    """
    tree = recipe.model_dump(mode="json")
    for field, value in values.items():
        put(tree, field, value)
    return Recipe.model_validate(tree)


def search(job: TuningJob, group: WorkerGroup | None = None) -> TuningResult:
    """Run the recipe's search for one twin; an interrupted search goes on with the trial it was at.

    Args:
        job: what to search.
        group: that this process leads, where workers in steps of their own help.
    """
    tuning, shared = job.recipe.tuning, _shared(job)
    if not tuning.trials:
        return nothing_searched()
    if tuning.workers > 1 and finished(shared.folder) < tuning.trials:
        ended = run_workers(
            shared, tuning.workers if group is None else 1, partial(_report_trials, job), group
        )
        done = finished(shared.folder)
        if any(ended) or done < tuning.trials:
            report_progress(
                "progress", node=f"Tuner-{job.twin}", done=done, total=tuning.trials, text=_LOST
            )
    if group is not None:
        group.end()
    # Alone, or for what the workers left: trials that were cut off are run again.
    tuner = _search(job)
    best = tuner.get_best_hyperparameters()[0]
    if tuning.apply and not np.isfinite(tuner.oracle.get_best_trials()[0].score):
        raise TwintrainError(
            f"Every trial of the {job.twin} twin diverged: there are no best values to train with.",
            "Lower tuning.learning_rate, or train with the recipe's own values "
            "(tuning.apply=false).",
        )
    return TuningResult(
        best.get_config(), [_row(trial) for _, trial in sorted(tuner.oracle.trials.items())]
    )


def nothing_searched() -> TuningResult:
    """What a search of no trials finds."""
    return TuningResult(keras_tuner.HyperParameters().get_config(), [])


def search_step(job: TuningJob) -> TuningResult | None:
    """A Tuner's step: search or, as a further member of a group, help the step that leads it, which
    has the result.
    """
    group = WorkerGroup.of_this_process()
    if group is None or group.member == 0:
        return search(job, group)
    help_search(_shared(job), group)
    return None


def _shared(job: TuningJob) -> Search:
    tuning = job.recipe.tuning
    return Search(
        partial(_search, job), job.folder / job.twin, tuning.trials, 60 * tuning.stall_minutes
    )


def _search(job: TuningJob) -> keras_tuner.Tuner:
    """Make the tuner and run trials until none is left."""
    tuning = job.recipe.tuning
    whole = job.data.store("train", job.recipe.data.memory_limit_mb)
    if tuning.examples is not None and tuning.examples < len(whole):
        _, whole = hold_out(whole, tuning.examples / len(whole), tuning.seed)
    train, validation = hold_out(whole, tuning.validation_fraction, tuning.seed)
    problem = find_problem(job.recipe, job.data.spec)
    tuner = keras_tuner.RandomSearch(
        TwinHyperModel(job.twin, job.recipe, problem, train, validation),
        objective=keras_tuner.Objective("val_loss", "min"),
        max_trials=tuning.trials,
        seed=tuning.seed + 1,  # keras-tuner takes 0 for "no seed"
        directory=str(job.folder),
        project_name=job.twin,
    )
    try:
        tuner.search(verbose=0)
    except FatalError as error:
        raise (error.__cause__ or error) from None
    return tuner


def _report_trials(job: TuningJob, done: int) -> None:
    total = job.recipe.tuning.trials
    report_progress(
        "progress", node=f"Tuner-{job.twin}", done=done, total=total, text=f"trial {done}/{total}"
    )


def _row(trial: keras_tuner.engine.trial.Trial) -> dict[str, Any]:
    figures = {name: trial.metrics.get_best_value(name) for name in trial.metrics.metrics}
    values = trial.hyperparameters.values
    searched = {field.rpartition(".")[2]: value for field, value in values.items()}
    return {"trial": trial.trial_id, "status": trial.status, **searched, **figures}


def write_result(result: TuningResult, best_file: Path, trials_file: Path) -> None:
    """Write the best hyperparameters and all trials where a TFX Tuner would."""
    best_file.write_text(json.dumps(result.best), encoding="utf-8")
    trials_file.write_text(json.dumps(result.trials, indent=1), encoding="utf-8")
