"""The whole comparison in one call, without TFX, on a few hundred digits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import twintrain
from twintrain.data.example_store import ExampleStore
from twintrain.errors import TwintrainError
from twintrain.problems.image_classification import ImageClassification
from twintrain.recipe.recipe import Recipe

SMALL = ["seeds=[0,1]", "training.epochs=1", "tuning.trials=0"]
SPEC = twintrain.labelled_images((28, 28, 1), 10)
Told = list[tuple[str, int, int, str]]


def compared(
    recipe: Recipe, train: ExampleStore, test: ExampleStore, folder: Path | None = None
) -> tuple[twintrain.Comparison, Told]:
    told: Told = []
    problem = twintrain.find_problem(recipe, SPEC)
    found = twintrain.compare(
        recipe,
        problem,
        train,
        test,
        folder=folder,
        steps=0,
        report=lambda *about: told.append(about),
    )
    return found, told


def test_one_recipe_makes_identical_twins_and_nothing_is_trained_twice(
    small_train: ExampleStore, small_test: ExampleStore, tmp_path: Path
) -> None:
    recipe = twintrain.load_recipe("standard", SMALL)
    found, told = compared(recipe, small_train, small_test, tmp_path)
    assert found.verdict == "identical"
    assert found.parity.max_abs_difference == 0
    assert found.data["train"]["examples"] == 330
    assert sum(found.data["eval"]["labels"].values()) == 200
    assert found.evaluator is None
    assert {part.name for part in found.slices} >= {"overall", "label=3", "ink=light"}
    assert [about[:3] for about in told] == [
        (twin, done, 2) for twin in ("fit", "loop") for done in (1, 2)
    ]
    again, told = compared(recipe, small_train, small_test, tmp_path)
    assert told == []
    idle = {"created"}
    assert again.model_dump(exclude=idle) == found.model_dump(exclude=idle)
    assert not list((tmp_path / "state").iterdir())
    # One more seed is the only one that is trained.
    _, told = compared(
        recipe.model_copy(update={"seeds": (0, 1, 2)}), small_train, small_test, tmp_path
    )
    assert [about[3].split(",")[0] for about in told] == ["seed 2", "seed 2"]


@pytest.mark.in_turn(4)
def test_a_loop_that_deviates_is_seen_and_tuned_values_are_used(
    small_train: ExampleStore, small_test: ExampleStore
) -> None:
    tuned = ["tuning.trials=1", "tuning.apply=true", "tuning.examples=100", "seeds=[0]"]
    recipe = twintrain.load_recipe("standard", [*SMALL, *tuned, "loop.training.shuffle=false"])
    found, told = compared(recipe, small_train, small_test)
    assert found.verdict != "identical"
    assert not found.parity.same_batches
    assert [about[0] for about in told] == ["tuning", "tuning", "fit", "loop"]
    (fit,), (loop,) = (found.twins[twin].trials for twin in ("fit", "loop"))
    assert fit["learning_rate"] == loop["learning_rate"] != recipe.optimizer.learning_rate


@pytest.mark.in_turn(4)
def test_steps_side_by_side_are_part_of_it(
    small_train: ExampleStore, small_test: ExampleStore
) -> None:
    recipe = twintrain.load_recipe("standard", [*SMALL, "seeds=[0]"])
    problem = twintrain.find_problem(recipe, SPEC)
    found = twintrain.compare(recipe, problem, small_train, small_test, steps=3)
    assert found.parity.lockstep is not None
    assert found.parity.lockstep.steps == 3
    assert found.parity.lockstep.first is None


def test_a_model_that_gives_logits_is_told_before_it_is_trained(
    small_train: ExampleStore, small_test: ExampleStore
) -> None:
    def logits(recipe: Recipe, shape: tuple[int, ...], classes: int) -> keras.Model:
        return keras.Sequential(
            [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)]
        )

    told: Told = []
    with pytest.raises(TwintrainError, match="does not end in class probabilities"):
        twintrain.compare(
            twintrain.load_recipe("standard", SMALL),
            ImageClassification(SPEC, logits),
            small_train,
            small_test,
            report=lambda *about: told.append(about),
        )
    assert told == []


def test_arrays_become_examples_in_their_order() -> None:
    rng = np.random.default_rng(0)
    inputs, targets = rng.uniform(size=(12, 4, 4, 1)), rng.integers(3, size=12)
    store = twintrain.examples(inputs, targets, "mine")
    np.testing.assert_array_equal(store.values(np.arange(12)), inputs.astype(np.float32))
    np.testing.assert_array_equal(store.targets, targets)
    assert store.ids[11] == b"mine-00000011"
    with pytest.raises(TwintrainError, match="One target belongs to one example"):
        twintrain.examples(inputs, targets[:5])
    with pytest.raises(TwintrainError, match="no examples"):
        twintrain.examples(inputs[:0], targets[:0])


@pytest.mark.in_turn(3)
def test_another_test_split_is_another_comparison(
    small_train: ExampleStore, small_test: ExampleStore, tmp_path: Path
) -> None:
    recipe = twintrain.load_recipe("standard", [*SMALL, "seeds=[0]"])
    compared(recipe, small_train, small_test, tmp_path)
    other = replace(small_test, targets=(small_test.targets + 1) % 10)
    found, told = compared(recipe, small_train, other, tmp_path)
    assert [about[0] for about in told] == ["fit", "loop"]
    assert found.twins["fit"].mean_score < 0.5


def test_a_test_split_that_was_trained_on_is_refused_unless_the_recipe_allows_it(
    small_train: ExampleStore,
) -> None:
    tested = small_train.subset(np.arange(200))
    with pytest.raises(TwintrainError, match="200 of 200 test examples have the inputs"):
        compared(twintrain.load_recipe("standard", SMALL), small_train, tested)
    allowed = [*SMALL, "seeds=[0]", "model.name=mlp", "comparison.overlap_limit=1"]
    found, _ = compared(twintrain.load_recipe("standard", allowed), small_train, tested)
    assert any("200 of 200 test examples have the inputs" in note for note in found.notes)
