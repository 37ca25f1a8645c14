"""A way of training that the library does not have is one class and one name."""

from __future__ import annotations

from dataclasses import replace

import pytest

import twintrain
from twintrain.data.batches import BatchSource
from twintrain.data.example_store import ExampleStore
from twintrain.errors import TwintrainError
from twintrain.parity.lockstep import lockstep
from twintrain.problems.problem import Problem
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.training.gradient_tape import GradientTapeTwin
from twintrain.training.keras_fit import KerasFitTwin
from twintrain.training.registry import TRAINERS, twin_of
from twintrain.training.session import Built
from twintrain.training.twin import Step, TwinJob, TwinResult

SMALL = ["model.name=mlp", "training.epochs=1", "seeds=[0]", "twins.loop=third_way"]


class ThirdWay(GradientTapeTwin):
    """Trains as the loop does, and keeps account of it; in order, if it is told to deviate."""

    def __init__(self, *, deviates: bool = False) -> None:
        self.trained: list[int] = []
        self.stepped = 0
        self._deviates = deviates

    def train(self, job: TwinJob) -> TwinResult:
        self.trained.append(job.seed)
        if self._deviates:
            rules = job.recipe.training.model_copy(update={"shuffle": False})
            job = replace(job, recipe=job.recipe.model_copy(update={"training": rules}))
        return super().train(job)

    def stepper(self, built: Built, source: BatchSource, recipe: Recipe) -> Step:
        step = super().stepper(built, source, recipe)

        def counted(inputs: object, targets: object, weights: object) -> dict[str, float]:
            self.stepped += 1
            return step(inputs, targets, weights)

        return counted


def problem_of(recipe: Recipe) -> Problem:
    return twintrain.find_problem(recipe, twintrain.labelled_images((28, 28, 1), 10))


def register(monkeypatch: pytest.MonkeyPatch, *, deviates: bool = False) -> ThirdWay:
    third = ThirdWay(deviates=deviates)
    monkeypatch.setitem(TRAINERS, "third_way", third)
    return third


def test_a_recipe_names_what_trains() -> None:
    recipe = load_recipe("standard")
    assert isinstance(twin_of(recipe, "fit"), KerasFitTwin)
    assert isinstance(twin_of(recipe, "loop"), GradientTapeTwin)
    swapped = load_recipe("standard", ["twins.fit=gradient_tape", "twins.loop=keras_fit"])
    assert isinstance(twin_of(swapped, "fit"), GradientTapeTwin)
    assert isinstance(twin_of(swapped, "loop"), KerasFitTwin)


def test_an_unknown_way_is_named_with_what_was_meant() -> None:
    recipe = load_recipe("standard", ["twins.loop=gradient_tap"])
    with pytest.raises(TwintrainError, match=r"twins\.loop.*'gradient_tap'") as raised:
        twin_of(recipe, "loop")
    assert "gradient_tape" in str(raised.value).replace("'gradient_tap'", "")


@pytest.mark.in_turn(4)
def test_a_third_way_of_training_is_compared(
    monkeypatch: pytest.MonkeyPatch, small_train: ExampleStore, small_test: ExampleStore
) -> None:
    third, recipe = register(monkeypatch), load_recipe("standard", SMALL)
    found = twintrain.compare(recipe, problem_of(recipe), small_train, small_test, steps=2)
    assert third.trained[-1] == 0
    assert third.stepped == 2
    assert found.verdict == "identical"
    assert found.parity.lockstep is not None
    assert found.parity.lockstep.first is None
    assert found.parity.max_abs_difference == 0


def test_a_third_way_that_deviates_is_seen(
    monkeypatch: pytest.MonkeyPatch, small_train: ExampleStore, small_test: ExampleStore
) -> None:
    register(monkeypatch, deviates=True)
    recipe = load_recipe("standard", SMALL)
    found = twintrain.compare(recipe, problem_of(recipe), small_train, small_test, steps=0)
    assert not found.parity.same_batches
    assert found.parity.seeds[0].first_different_batch == (0, 0)


def test_a_third_way_steps_side_by_side_with_either_twin(
    monkeypatch: pytest.MonkeyPatch, small_train: ExampleStore
) -> None:
    third, recipe = register(monkeypatch), load_recipe("standard", SMALL)
    result = lockstep(recipe, problem_of(recipe), small_train, seed=0, steps=3)
    assert (result.steps, result.first, third.stepped) == (3, None, 3)
    as_fit = recipe.model_copy(
        update={"twins": recipe.twins.model_copy(update={"fit": "third_way"})}
    )
    assert lockstep(as_fit, problem_of(recipe), small_train, seed=0, steps=3).first is None
    assert third.stepped == 9  # both sides this time
