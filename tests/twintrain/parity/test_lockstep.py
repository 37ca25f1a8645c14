from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.twintrain.training.test_parity import CASES
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.parity.divergence import LockstepResult
from twintrain.parity.lockstep import compare, compare_ends, lockstep
from twintrain.problems.find import find_problem
from twintrain.processes.isolated import run_isolated
from twintrain.recipe.files import load_recipe


def run(
    store: ExampleStore, *overrides: str, twins: tuple[str, str] = ("fit", "loop")
) -> LockstepResult:
    recipe = load_recipe("standard", overrides)
    return lockstep(
        recipe,
        find_problem(recipe, labelled_images(store.shape, 10)),
        store,
        seed=0,
        steps=5,
        twins=twins,
    )


@pytest.mark.parametrize("name", ["textbook", "everything", "mixed_float16", "eager"])
def test_equal_twins_never_part(name: str, small_train: ExampleStore) -> None:
    result = run(small_train, *CASES[name])
    assert result.first is None
    assert result.steps == 5
    assert result.curve == [0.0] * 5


@pytest.mark.parametrize(
    ("overrides", "stage", "step"),
    [
        (["loop.training.shuffle=false"], "batch", 0),
        (["loop.regularization.dropout=0.5"], "forward output", 0),
        (["regularization.dropout=0.5", "loop.training.training_flag=false"], "forward output", 0),
        (["regularization.l2=0.01", "loop.regularization.l2=0.02"], "loss", 0),
        (["loop.optimizer.global_clipnorm=0.01"], "update", 0),
        (["loop.optimizer.learning_rate=0.002"], "update", 0),
        (["loop.optimizer.epsilon=0.001"], "update", 0),
        (["schedule.kind=cosine", "loop.schedule.final_factor=0.5"], "update", 1),
    ],
)
def test_the_first_divergence_is_where_the_difference_was_made(
    overrides: list[str], stage: str, step: int, small_train: ExampleStore
) -> None:
    result = run(small_train, *overrides)
    assert result.first is not None
    assert (result.first.stage, result.first.step) == (stage, step + 1)
    assert result.first.exceeds(0)
    assert result.curve[-1] is None or result.curve[-1] > 0
    assert f"after step {step + 1} the {stage} differs" in result.first.describe()


def test_a_twin_does_not_part_from_itself(small_train: ExampleStore) -> None:
    for twin in ("fit", "loop"):
        assert run(small_train, "regularization.dropout=0.3", twins=(twin, twin)).first is None


def test_without_determinism_the_tolerance_is_measured(small_train: ExampleStore) -> None:
    result = run(small_train, "execution.deterministic=false")
    assert "update" in result.tolerance
    assert result.first is None


@pytest.mark.in_turn(4)
def test_under_xla(small_train: ExampleStore) -> None:
    """Also over the partial batch at an epoch's end, and with a mistake that is seen where it was
    made.
    """
    # In a process of its own: op determinism, once switched on, stays on, and XLA refuses it.
    equal, wrong = run_isolated(compiled_by_xla, small_train)
    assert equal.first is None
    assert equal.steps == 5
    assert wrong.first is not None
    assert (wrong.first.stage, wrong.first.step) == ("forward output", 1)


def compiled_by_xla(store: ExampleStore) -> tuple[LockstepResult, LockstepResult]:
    fast = ["execution.xla=true", "execution.deterministic=false", "training.batch_size=80"]
    mlp = ["model.name=mlp", "execution.precision=mixed_float16"]  # convolutions: test_parity.py
    equal = run(store, *CASES["everything"], *fast, *mlp)
    # Batches of one size: XLA compiles each step once.
    small = ["model.name=mlp", "regularization.dropout=0.3", "training.batch_size=66"]
    wrong = run(store, *fast, *small, "loop.training.training_flag=false")
    return equal, wrong


def test_differences_are_counted_in_units_in_the_last_place() -> None:
    one = np.array([1.0, -1.0, 0.0], np.float32)
    other = one.copy()
    other[1] = np.nextafter(np.nextafter(other[1], np.float32(-2)), np.float32(-2))
    (found,) = compare({"update": {"w": one}}, {"update": {"w": other}})
    assert found.max_ulps == 2
    assert found.max_abs == pytest.approx(2.4e-7, rel=0.1)
    other[0] = np.nan
    (found,) = compare({"update": {"w": one}}, {"update": {"w": other}})
    assert found.max_abs is None
    assert found.exceeds(1e9)
    (found,) = compare({"update": {"w": one}}, {"update": {"w": one[:2]}})
    assert found.max_abs is None


@pytest.mark.parametrize(
    ("overrides", "stage", "tensor"),
    [
        ([], None, None),
        (["loop.early_stopping.restore_best=false"], "end of run", "weights[0]"),
        (["loop.early_stopping.patience=4"], "evaluation", "accuracy"),
    ],
)
def test_trainings_are_compared_to_their_end(
    overrides: list[str],
    stage: str | None,
    tensor: str | None,
    small_train: ExampleStore,
    small_test: ExampleStore,
) -> None:
    stopping = [
        "early_stopping.enabled=true",
        "early_stopping.patience=1",
        "data.validation_fraction=0.1",
    ]
    shape = [
        *stopping,
        "early_stopping.monitor=val_loss",
        "training.epochs=8",
        "optimizer.learning_rate=0.02",
    ]
    recipe = load_recipe("standard", [*shape, *overrides])
    wrong = replace(small_test, targets=(small_test.targets + 1) % 10)
    found = compare_ends(
        recipe,
        find_problem(recipe, labelled_images(small_train.shape, 10)),
        small_train,
        wrong,
        seed=0,
    )
    assert (found and (found.stage, found.tensor)) == (stage and (stage, tensor))
