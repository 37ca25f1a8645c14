"""The heart of the product: under one recipe and seed the twins are equal bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import mnist_store
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.problems.find import find_problem
from twintrain.processes.isolated import run_isolated
from twintrain.recipe.files import load_recipe
from twintrain.training.registry import twin_of
from twintrain.training.twin import TwinJob, TwinResult

EVERYTHING = [
    "training.epochs=5",
    "regularization.dropout=0.3",
    "regularization.batch_normalization=true",
    "regularization.l2=0.0001",
    "regularization.l1=0.00001",
    "augmentation.rotation=40",
    "augmentation.shift=0.2",
    "augmentation.shear=0.2",
    "augmentation.zoom=0.2",
    "augmentation.flip=true",
    "data.validation_fraction=0.1",
    "early_stopping.enabled=true",
    "early_stopping.patience=2",
    "early_stopping.min_delta=5",  # asks for more than any epoch gives, so that it stops and goes back
    "schedule.kind=cosine",
    "schedule.warmup_epochs=0.5",
]

RECIPES = {
    "textbook": ["training.epochs=3"],
    "everything": EVERYTHING,
    "mixed_bfloat16": ["training.epochs=2", "execution.precision=mixed_bfloat16"],
    "mixed_float16": [
        "training.epochs=2",
        "execution.precision=mixed_float16",
        "regularization.l2=0.001",
    ],
    "ema_and_clipping": [
        "training.epochs=2",
        "optimizer.use_ema=true",
        "optimizer.global_clipnorm=0.5",
        "schedule.kind=exponential",
        "regularization.batch_normalization=true",
    ],
    "sgd_piecewise_mlp": [
        "training.epochs=3",
        "model.name=mlp",
        "optimizer.name=sgd",
        "optimizer.momentum=0.9",
        "schedule.kind=piecewise",
        "schedule.boundaries=[1, 2]",
        "schedule.factors=[0.5, 0.1]",
    ],
    "eager": ["training.epochs=1", "training.compiled=false", "regularization.dropout=0.2"],
}


def train_both(
    overrides: list[str], train: ExampleStore, test: ExampleStore, seed: int = 0
) -> tuple[TwinResult, TwinResult]:
    recipe = load_recipe("standard", overrides)
    results = []
    for name in ("fit", "loop"):
        own = recipe.for_twin(name)
        job = TwinJob(own, find_problem(own, labelled_images(train.shape, 10)), train, test, seed)
        results.append(twin_of(own, name).train(job))
    return results[0], results[1]


def assert_same(fit: TwinResult, loop: TwinResult) -> None:
    np.testing.assert_array_equal(fit.fingerprints, loop.fingerprints)
    assert fit.history == loop.history
    assert fit.best_epoch == loop.best_epoch
    for ours, theirs in zip(
        fit.weights + fit.final_weights, loop.weights + loop.final_weights, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", RECIPES)
def test_twins_are_equal_bit_for_bit(
    name: str, small_train: ExampleStore, small_test: ExampleStore
) -> None:
    fit, loop = train_both(RECIPES[name], small_train, small_test)
    assert fit.epochs == loop.epochs >= 1
    assert_same(fit, loop)


def test_under_xla_twins_are_equal_within_rounding() -> None:
    """In a process of its own: op determinism, once switched on, stays on, and XLA refuses it."""
    fingerprints, apart = run_isolated(apart_under_xla)
    assert fingerprints
    assert apart < 1e-4  # 0 was measured, but XLA is free to compile two programs differently


def apart_under_xla() -> tuple[bool, float]:
    fast = [
        "execution.xla=true",
        "execution.deterministic=false",
        "execution.precision=mixed_float16",
    ]
    fit, loop = train_both(
        [*EVERYTHING, *fast, "training.epochs=2"],
        mnist_store("train", 330),
        mnist_store("eval", 200),
    )
    gaps = [np.abs(a - b).max() for a, b in zip(fit.final_weights, loop.final_weights, strict=True)]
    return np.array_equal(fit.fingerprints, loop.fingerprints), float(max(gaps))


def test_early_stopping_really_stopped_and_restored(
    small_train: ExampleStore, small_test: ExampleStore
) -> None:
    fit, loop = train_both(EVERYTHING, small_train, small_test)
    assert fit.epochs < 5
    assert fit.best_epoch < fit.epochs - 1
    assert any(
        not np.array_equal(kept, last)
        for kept, last in zip(loop.weights, loop.final_weights, strict=True)
    )


def test_training_learns_and_seeds_matter(
    small_train: ExampleStore, small_test: ExampleStore
) -> None:
    first, _ = train_both(["training.epochs=3"], small_train, small_test, seed=0)
    second, _ = train_both(["training.epochs=3"], small_train, small_test, seed=1)
    assert first.history["loss"][-1] < 0.8 * first.history["loss"][0]
    assert not np.array_equal(first.fingerprints, second.fingerprints)
    assert not np.array_equal(first.weights[0], second.weights[0])


def test_spooled_data_trains_to_the_same_weights(
    small_train: ExampleStore, small_test: ExampleStore
) -> None:
    spooled = mnist_store("train", 330, memory_limit=1000)
    assert not spooled.in_memory
    overrides = ["training.epochs=2", "augmentation.rotation=20", "augmentation.flip=true"]
    fit, loop = train_both(overrides, small_train, small_test)
    spooled_fit, spooled_loop = train_both(overrides, spooled, small_test)
    assert_same(fit, spooled_fit)
    assert_same(loop, spooled_loop)
    assert_same(spooled_fit, spooled_loop)


def test_a_loop_that_deviates_is_seen(small_train: ExampleStore, small_test: ExampleStore) -> None:
    fit, loop = train_both(
        ["training.epochs=1", "loop.training.shuffle=false"], small_train, small_test
    )
    assert not np.array_equal(fit.fingerprints, loop.fingerprints)
    assert not np.array_equal(fit.weights[0], loop.weights[0])


class KilledError(Exception):
    """Stands for the machine going down after an epoch."""


@pytest.mark.parametrize("twin", ["fit", "loop"])
def test_interrupted_training_ends_as_if_it_had_not_been(
    twin: str, small_train: ExampleStore, small_test: ExampleStore, tmp_path: Path
) -> None:
    recipe = load_recipe(
        "standard", [*EVERYTHING, "early_stopping.patience=3", "optimizer.use_ema=true"]
    )
    problem = find_problem(recipe, labelled_images(small_train.shape, 10))
    state = tmp_path / "state.npz"

    def die_in_second(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 1:
            raise KilledError

    whole = twin_of(recipe, twin).train(TwinJob(recipe, problem, small_train, small_test, 0))
    with pytest.raises(KilledError):
        twin_of(recipe, twin).train(
            TwinJob(recipe, problem, small_train, small_test, 0, die_in_second, state)
        )
    seen: list[int] = []
    job = TwinJob(
        recipe, problem, small_train, small_test, 0, lambda epoch, logs: seen.append(epoch), state
    )
    resumed = twin_of(recipe, twin).train(job)
    assert seen[0] == 2
    assert_same(whole, resumed)
    # Interrupted once more after the last epoch, there is nothing left to train.
    seen.clear()
    assert_same(whole, twin_of(recipe, twin).train(job))
    assert seen == []
