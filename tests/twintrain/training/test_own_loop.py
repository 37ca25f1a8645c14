"""A loop of the user's own as a twin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DATA
from tests.twintrain.training import own_loops
from twintrain.attribution.experiment import Question, explain
from twintrain.data.batches import BatchSource
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.data.idx_source import IdxData
from twintrain.errors import TwintrainError
from twintrain.parity.lockstep import lockstep
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe
from twintrain.training.own_loop import OwnLoopTwin, OwnStepTwin, Passes, own_twin
from twintrain.training.registry import twin_of
from twintrain.training.twin import TwinJob, TwinResult

LOOPS = own_loops.__name__
SMALL = ["model.name=mlp", "training.epochs=2", "regularization.dropout=0.3"]


def trained(store: ExampleStore, function: str, twin: str = "loop", *overrides: str) -> TwinResult:
    recipe = load_recipe("textbook", [*SMALL, f"twins.loop={LOOPS}:{function}", *overrides])
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    seen: list[int] = []
    job = TwinJob(
        recipe.for_twin(twin), problem, store, store, 3, lambda epoch, logs: seen.append(epoch)
    )
    result = twin_of(recipe, twin).train(job)  # type: ignore[arg-type]
    assert set(seen) == set(range(result.epochs))
    return result


@pytest.mark.parametrize("function", ["custom_loop", "train_step", "silent_step", "fitted"])
def test_a_right_loop_equals_fit_bit_for_bit(small_train: ExampleStore, function: str) -> None:
    fit, loop = trained(small_train, function, "fit"), trained(small_train, function)
    np.testing.assert_array_equal(fit.fingerprints, loop.fingerprints)
    for ours, theirs in zip(fit.weights, loop.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for figure in ("val_loss", "val_accuracy"):
        assert fit.history[figure][-1] == loop.history[figure][-1]
    told: dict[str, set[str]] = {"train_step": {"loss", "accuracy"}, "silent_step": set()}
    assert set(loop.history) - {"val_loss", "val_accuracy"} == told.get(function, {"loss"})
    assert loop.epochs == 2


def test_the_model_that_is_given_back_is_the_trained_one(small_train: ExampleStore) -> None:
    slow = trained(small_train, "obedient")
    fast = trained(small_train, "obedient", "loop", "optimizer.learning_rate=0.01")
    assert any((a != b).any() for a, b in zip(slow.weights, fast.weights, strict=True))


def test_batches_that_were_not_taken_are_none(small_train: ExampleStore) -> None:
    result = trained(small_train, "part_of_the_data")
    assert result.fingerprints.shape == (1, 11)
    assert (result.fingerprints[0, :3] != 0).all()
    assert not result.fingerprints[0, 3:].any()


@pytest.mark.parametrize(
    ("function", "overrides", "message"),
    [
        ("no_data", [], "took no batch of the dataset"),
        ("custom_loop", ["tuning.apply=true", "tuning.trials=1"], "takes no recipe"),
        ("wordy_step", [], "your step returns str"),
        (
            "silent_step",
            ["early_stopping.enabled=true", "early_stopping.monitor=accuracy"],
            "the training has no figure 'accuracy', only val_accuracy, val_loss",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(
    small_train: ExampleStore, function: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(TwintrainError, match=message):
        trained(small_train, function, "loop", *overrides)


@pytest.mark.parametrize("function", ["too_many", "too_few", "nowhere", "NOT_CALLABLE"])
def test_a_function_of_another_kind_is_refused(function: str) -> None:
    with pytest.raises(TwintrainError, match=r"twins\.loop: "):
        own_twin(f"{LOOPS}:{function}")


def test_parameters_say_what_a_function_is() -> None:
    assert isinstance(own_twin(f"{LOOPS}:custom_loop"), OwnLoopTwin)
    assert isinstance(own_twin(f"{LOOPS}:train_step"), OwnStepTwin)
    obedient = own_twin(f"{LOOPS}:obedient")
    assert isinstance(obedient, OwnLoopTwin)
    assert obedient.further == ("recipe", "validation")


def test_parameters_with_defaults_of_their_own_are_left_to_them() -> None:
    twin = own_twin(f"{LOOPS}:with_defaults")
    assert isinstance(twin, OwnLoopTwin)
    assert twin.further == ()


@pytest.mark.in_turn(3)
def test_loops_are_given_the_weights_of_examples(small_train: ExampleStore) -> None:
    weights = np.linspace(0, 3, len(small_train), dtype=np.float32)
    weighted = replace(small_train, weights=weights)
    results = [trained(weighted, function) for function in ("weighted_step", "weighted_loop")]
    fit = trained(weighted, "weighted_step", "fit")
    for result in results:
        for ours, theirs in zip(result.final_weights, fit.final_weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_pass_that_is_broken_off_begins_again(small_train: ExampleStore) -> None:
    recipe = load_recipe("textbook", SMALL)
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    source = BatchSource(small_train, recipe, 0, problem.preparation(recipe))
    ended: list[int] = []
    passes = Passes(source.steps, ended.append)
    data = source.dataset(passes, ahead=0)
    list(data.take(2))
    first = [y.numpy() for _, y in data]
    again = [y.numpy() for _, y in data]
    list(data.take(4))
    assert ended == [0, 1]
    np.testing.assert_array_equal(np.concatenate(first), small_train.targets[source.epoch_order(0)])
    np.testing.assert_array_equal(np.concatenate(again), small_train.targets[source.epoch_order(1)])
    assert [sum(one != 0 for one in epoch) for epoch in passes.epochs()] == [11, 11, 4]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loop.training.shuffle=false"], "cannot tell it to deviate"),
        (["execution.strategy=mirrored"], "trains on one device"),
        (["attribution.enabled=true"], "the diagnosis names"),
    ],
)
def test_a_recipe_asks_nothing_of_it_that_it_cannot_do(overrides: list[str], message: str) -> None:
    with pytest.raises(TwintrainError, match=message):
        load_recipe("standard", [f"twins.loop={LOOPS}:custom_loop", *overrides])


def test_neither_lockstep_nor_an_experiment_takes_it(
    small_train: ExampleStore, tmp_path: Path
) -> None:
    recipe = load_recipe("standard", [f"twins.loop={LOOPS}:custom_loop"])
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    with pytest.raises(TwintrainError, match="not taken step by step"):
        lockstep(recipe, problem, small_train, seed=0, steps=2)
    with pytest.raises(TwintrainError, match="practices are fields of a recipe"):
        explain(Question(recipe, recipe, IdxData(DATA), tmp_path))
