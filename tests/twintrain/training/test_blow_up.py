"""A training whose loss is no number any more ends at once, and says where it began."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from tests.twintrain.problems.own_problems import module, spec, store
from twintrain.data.arrays import examples
from twintrain.parity.lockstep import compare_ends
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe, TwinName
from twintrain.training.loss_not_finite import LossNotFiniteError, check_loss
from twintrain.training.registry import twin_of
from twintrain.training.resume import load
from twintrain.training.seeds import Splits, train_seed
from twintrain.training.session import build, session
from twintrain.training.twin import TwinJob

EXPLODES = ("optimizer.name=sgd", "optimizer.learning_rate=90")


@pytest.fixture
def stated() -> Iterator[ModuleType]:
    """A regression that grows without bounds where the learning rate is too high."""
    made = module("stated_to_blow_up", TASK="regression", LABEL="height", UNIT="m")
    made.loss = lambda: keras.losses.MeanSquaredError()
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


class Logarithms(keras.losses.Loss):
    """Of numbers far below zero."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return keras.ops.square(keras.ops.log(y_pred - 1e4))


def recipe_of(stated: ModuleType, *overrides: str) -> Recipe:
    base = ["seeds=[0]", "training.epochs=3", "tuning.trials=0", "comparison.margin=0.1"]
    module_name = f"problem.module={stated.__name__}"
    return load_recipe("standard", [*base, module_name, "comparison.threshold=null", *overrides])


def job_of(recipe: Recipe, folder: Path) -> TwinJob:
    problem = find_problem(recipe, spec("regression"))
    train, test = store("regression", 200, 1), store("regression", 90, 2)
    return TwinJob(recipe, problem, train, test, 0, lambda epoch, logs: None, folder / "state")


def ended(twin: TwinName, job: TwinJob, folder: Path) -> LossNotFiniteError:
    splits = Splits(job.train, job.validation, job.validation, job.train.digest)
    with pytest.raises(LossNotFiniteError) as found:
        train_seed(twin, job, splits, folder)
    return found.value


@pytest.mark.parametrize("twin", ["fit", "loop"])
def test_the_step_its_gradients_and_the_operation_are_named(
    twin: TwinName, stated: ModuleType, tmp_path: Path
) -> None:
    job = job_of(recipe_of(stated, *EXPLODES).for_twin(twin), tmp_path)
    said = ended(twin, job, tmp_path).problem
    assert f"the {twin} twin with seed 0 is not a number any more: epoch 1, step " in said
    assert "learning rate 90." in said
    assert "Largest gradients (in the step before), as 2-norms: " in said
    assert "The first operation that gave no number: " in said
    assert not (tmp_path / "record.json").exists()


def test_both_twins_say_the_same(stated: ModuleType, tmp_path: Path) -> None:
    recipe = recipe_of(stated, *EXPLODES)
    said = [
        ended(twin, job_of(recipe.for_twin(twin), tmp_path / twin), tmp_path).problem
        for twin in ("fit", "loop")
    ]
    assert said[0].replace("the fit twin", "") == said[1].replace("the loop twin", "")


def test_epochs_before_it_are_kept_and_it_is_not(stated: ModuleType, tmp_path: Path) -> None:
    later = ("schedule.kind=piecewise", "schedule.boundaries=[1]", "schedule.factors=[1e4]")
    recipe = recipe_of(stated, "optimizer.name=sgd", "optimizer.learning_rate=0.01", *later)
    job = job_of(recipe.for_twin("loop"), tmp_path)
    error = ended("loop", job, tmp_path)
    assert error.epoch == 1
    assert "epoch 2, step " in error.problem
    with session(job.recipe, 0):
        built = build(job.recipe, job.problem, 7)
        progress, _ = load(job.resume, built.model, built.optimizer)
        assert progress.epochs == 1
        assert all(np.isfinite(weight).all() for weight in built.model.get_weights())


def test_the_users_own_line_is_named(stated: ModuleType, tmp_path: Path) -> None:
    stated.loss = Logarithms
    said = ended("fit", job_of(recipe_of(stated).for_twin("fit"), tmp_path), tmp_path).problem
    assert "epoch 1, step 1, loss nan" in said
    assert "gave no number: Log (" in said
    assert "keras.ops.log(y_pred - 1e4)" in said


@pytest.mark.in_turn(3)
def test_in_short_trainings_both_may_end_so(stated: ModuleType) -> None:
    recipe = recipe_of(stated, *EXPLODES)
    problem = find_problem(recipe, spec("regression"))
    train, test = store("regression", 200, 1), store("regression", 90, 2)
    assert compare_ends(recipe, problem, train, test, 0) is None
    one = recipe_of(stated, "optimizer.name=sgd", "loop.optimizer.learning_rate=90")
    assert compare_ends(one, problem, train, test, 0) is not None


@pytest.mark.parametrize("twin", ["fit", "loop"])
def test_data_that_is_no_number_is_named_and_not_an_operation(
    twin: TwinName, stated: ModuleType, tmp_path: Path
) -> None:
    job = job_of(recipe_of(stated).for_twin(twin), tmp_path)
    every = np.arange(len(job.train))
    columns = dict(job.train.values(every))
    columns["age"][150] = np.nan
    job = replace(job, train=examples(columns, job.train.targets, "s1"))
    said = ended(twin, job, tmp_path).problem
    assert "no number in the data 'age': s1-00000150 is the first" in said
    assert "operation" not in said


def test_what_is_no_number_in_every_step_is_not_blamed(stated: ModuleType, tmp_path: Path) -> None:
    class Masked(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            infinite = keras.ops.log(keras.ops.zeros_like(y_pred))
            return keras.ops.square(y_true - keras.ops.where(y_pred > -1e30, y_pred, infinite))

    stated.loss = Masked
    said = ended("fit", job_of(recipe_of(stated, *EXPLODES).for_twin("fit"), tmp_path), tmp_path)
    assert ", step " in said.problem
    assert "Log" not in said.problem


def test_a_short_look_may_diverge(stated: ModuleType, tmp_path: Path) -> None:
    job = job_of(recipe_of(stated, *EXPLODES).for_twin("loop"), tmp_path)
    result = twin_of(job.recipe, "loop").train(job)
    assert not np.isfinite(result.history["loss"][-1])
    assert result.epochs == 3


def test_only_a_number_passes() -> None:
    check_loss(0, {"loss": 1e30})
    check_loss(0, {"val_loss": float("nan")})
    for loss in (float("nan"), float("inf")):
        with pytest.raises(LossNotFiniteError, match=f"epoch 4 is {loss}"):
            check_loss(3, {"loss": loss})


def test_it_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(LossNotFiniteError("one", "two", 3)))
    assert (error.problem, error.remedy, error.epoch) == ("one", "two", 3)
