"""A training in two phases goes on after an interruption as if there had been none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import mnist_store
from twintrain.data.example_spec import labelled_images
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import TWINS, TwinName
from twintrain.training import resume
from twintrain.training.blow_up import located
from twintrain.training.loss_not_finite import LossNotFiniteError
from twintrain.training.phases import frozen_state
from twintrain.training.registry import twin_of
from twintrain.training.session import check_problem, session
from twintrain.training.twin import TwinJob, TwinResult

RECIPE = [
    "model.name=mlp",
    "training.epochs=4",
    "training.compiled=false",  # so few steps take less than tracing them; graphs: test_parity.py
    "regularization.batch_normalization=true",
    "regularization.dropout=0.2",
    "optimizer.use_ema=true",
    "fine_tuning.frozen_epochs=2",
    "fine_tuning.layers=[dense, batch_normalization]",
    "fine_tuning.learning_rate=0.0002",
]


class StoppedError(Exception):
    pass


def job(*overrides: str) -> TwinJob:
    recipe = load_recipe("standard", [*RECIPE, *overrides])
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    return TwinJob(recipe, problem, mnist_store("train", 96), mnist_store("eval", 40), seed=0)


def train(twin: TwinName, asked: TwinJob) -> TwinResult:
    return twin_of(asked.recipe, twin).train(asked)


def train_until(epoch: int, twin: TwinName, asked: TwinJob) -> None:
    def stop(done: int, logs: dict[str, float]) -> None:
        if done == epoch:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(twin, replace(asked, on_epoch=stop))


@pytest.fixture(scope="module")
def whole() -> dict[TwinName, TwinResult]:
    return {twin: train(twin, job()) for twin in TWINS}


def assert_same(one: TwinResult, other: TwinResult) -> None:
    assert one.history == other.history
    np.testing.assert_array_equal(one.fingerprints, other.fingerprints)
    for ours, theirs in zip(
        one.weights + one.final_weights, other.weights + other.final_weights, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_only_what_is_not_frozen_moves_in_the_first_phase() -> None:
    whole = job("regularization.dropout=0", "optimizer.use_ema=null")
    rules = whole.recipe.training.model_copy(update={"epochs": 2})
    first = replace(whole, recipe=whole.recipe.model_copy(update={"training": rules}))
    with session(first.recipe, first.seed):
        before = first.problem.build_model(first.recipe).get_weights()
    for twin in TWINS:
        moved = [
            not np.array_equal(one, other)
            for one, other in zip(before, train(twin, first).weights, strict=True)
        ]
        # Kernel and bias; scale, offset, mean and variance of the batch normalization; the head's.
        assert moved == [False] * 6 + [True] * 2


def test_then_all_of_it_moves_and_the_twins_are_equal(whole: dict[TwinName, TwinResult]) -> None:
    assert_same(whole["fit"], whole["loop"])
    with session(job().recipe, 0):
        before = job().problem.build_model(job().recipe).get_weights()
    assert not any(
        np.array_equal(one, other)
        for one, other in zip(before, whole["fit"].final_weights, strict=True)
    )


@pytest.mark.parametrize(("twin", "epoch"), [("fit", 1), ("fit", 2), ("loop", 0), ("loop", 2)])
def test_interrupted_in_either_phase_or_between_them(
    twin: TwinName, epoch: int, tmp_path: Path, whole: dict[TwinName, TwinResult]
) -> None:
    state = tmp_path / "state.npz"
    train_until(epoch, twin, replace(job(), resume=state))
    assert frozen_state(state).exists()
    assert state.exists() == (epoch >= 2)
    trained: list[int] = []
    again = replace(job(), resume=state, on_epoch=lambda done, logs: trained.append(done))
    assert_same(train(twin, again), whole[twin])
    assert trained == list(range(epoch + 1, 4))
    resume.forget(state)
    assert not list(tmp_path.iterdir())


def test_a_damaged_second_phase_goes_back_to_the_first(
    tmp_path: Path, whole: dict[TwinName, TwinResult]
) -> None:
    state = tmp_path / "state.npz"
    train_until(2, "loop", replace(job(), resume=state))
    state.write_bytes(b"")
    trained: list[int] = []
    again = replace(job(), resume=state, on_epoch=lambda done, logs: trained.append(done))
    with pytest.warns(RuntimeWarning, match="goes back to the phase before"):
        assert_same(train("loop", again), whole["loop"])
    assert trained == [2, 3]


def test_a_loss_that_blows_up_in_the_second_phase_is_located(tmp_path: Path) -> None:
    wild = job(
        "optimizer.name=sgd",
        "optimizer.use_ema=null",
        "training.batch_size=8",
        "regularization.l2=1",
        "fine_tuning.learning_rate=100",
    )
    wild = replace(wild, resume=tmp_path / "state.npz", must_be_finite=True)
    with pytest.raises(LossNotFiniteError) as caught:
        train("loop", wild)
    said = located(caught.value, "loop", wild)
    assert "epoch 3" in said.problem
    assert "learning rate 100" in said.problem
    kept_nothing = located(caught.value, "loop", replace(wild, resume=None))
    assert "step" not in kept_nothing.problem.split("epoch 3")[1]


def test_layers_that_there_are_not_are_said_before_anything_is_trained() -> None:
    right = job()
    check_problem(right.recipe, right.problem, right.train)
    for override in ("fine_tuning.layers=[backbone]", "loop.fine_tuning.layers=[backbone]"):
        wrong = job(override)
        with pytest.raises(TwintrainError, match="no layer 'backbone'"):
            check_problem(wrong.recipe, wrong.problem, wrong.train)
