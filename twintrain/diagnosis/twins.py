"""Diagnosis of the pipeline's own two twins, where lockstep found that they part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.data.example_store import ExampleStore
from twintrain.diagnosis.catalogue import by_id
from twintrain.diagnosis.diagnose import diagnose
from twintrain.diagnosis.own_twin import explain_own_loop
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.watch.trace import FIT
from twintrain.parity.divergence import LockstepResult
from twintrain.parity.lockstep import LockstepJob, run_job, training_examples
from twintrain.problems.find import find_problem
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import Recipe, TwinName
from twintrain.training.registry import twin_of
from twintrain.training.session import check_problem
from twintrain.training.twin import TwinJob

ROWS = 330
DEADLINE = 240.0


def run_and_explain(job: LockstepJob) -> LockstepResult:
    """Lockstep of the twins, and the causes where they part; of a loop of the user's own, the
    diagnosis.
    """
    if job.recipe.twins.own:
        train = training_examples(job)
        problem = find_problem(job.recipe, job.data.spec)
        check_problem(job.recipe, problem, train)
        return explain_own_loop(job.recipe, problem, train)
    result = run_job(job)
    if result.first is None:
        return result
    recipe = job.recipe.on_one_device()
    store = job.data.store("train", recipe.data.memory_limit_mb)
    found = diagnose_twins(recipe, find_problem(recipe, job.data.spec), store)
    causes = [
        f"{'fit' if c.side == FIT else 'loop'} {by_id(c.id).does} ({c.id})" for c in found.causes
    ]
    return result.model_copy(update={"causes": causes})


def diagnose_twins(recipe: Recipe, problem: Problem, store: ExampleStore) -> Diagnosis:
    """Diagnose the two twins of a recipe on a few rows of its own data, with its first seed."""
    rows = np.unique(np.linspace(0, len(store) - 1, min(len(store), ROWS + ROWS // 3)).astype(int))
    train = store.subset(rows[:ROWS])
    test = store.subset(rows[ROWS:]) if len(rows) > ROWS else train

    def trainer(name: TwinName) -> Callable[..., Any]:
        def train_twin(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
            own = _with_epochs(recipe.for_twin(name), epochs)
            result = twin_of(own, name).train(TwinJob(own, problem, train, test, recipe.seeds[0]))
            return result.model, result.history

        return train_twin

    def make_dataset(split: str) -> tf.data.Dataset:
        return _dataset(
            train if split == "train" else test, recipe.for_twin("fit").training.batch_size
        )

    def build_model() -> keras.Model:
        return problem.build_model(recipe.for_twin("fit"))

    return diagnose(build_model, make_dataset, trainer("fit"), trainer("loop"), DEADLINE)


def _with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    return recipe.model_copy(
        update={"training": recipe.training.model_copy(update={"epochs": epochs})}
    )


def _dataset(store: ExampleStore, batch: int) -> tf.data.Dataset:
    every = np.arange(len(store))
    return tf.data.Dataset.from_tensor_slices((store.values(every), store.targets)).batch(batch)
