from __future__ import annotations

import pytest

from twintrain.attribution.practices import mixed, practices_between
from twintrain.errors import TwintrainError
from twintrain.recipe.files import builtin_recipes, load_recipe


def test_fields_are_grouped_into_practices() -> None:
    start, end = load_recipe("augmented").for_twin("fit"), load_recipe("bare").for_twin("loop")
    found = {practice.name: practice.changes for practice in practices_between(start, end)}
    assert list(found) == [
        "shuffling",
        "augmentation",
        "regularization",
        "early stopping",
        "training flag",
        "graph execution",
    ]
    assert found["shuffling"] == {"training.shuffle": (True, False)}
    assert set(found["early stopping"]) >= {"early_stopping.enabled", "data.validation_fraction"}


def test_a_field_of_no_group_is_a_practice_of_its_own() -> None:
    start, end = (
        load_recipe("standard"),
        load_recipe("standard", ["model.name=mlp", "training.input_scale=raw"]),
    )
    assert [practice.name for practice in practices_between(start, end)] == [
        "input scaling",
        "model.name",
    ]


@pytest.mark.parametrize("name", sorted(builtin_recipes()))
def test_switching_every_practice_gives_the_second_recipe(name: str) -> None:
    start, end = load_recipe("augmented").for_twin("fit"), load_recipe(name).for_twin("loop")
    practices = practices_between(start, end)
    assert practices_between(mixed(start, practices, ()), start) == []
    assert (
        practices_between(mixed(start, practices, [practice.name for practice in practices]), end)
        == []
    )


def test_recipes_about_different_data_are_refused() -> None:
    with pytest.raises(TwintrainError, match=r"data\.limit is None in one and 500 in the other"):
        practices_between(load_recipe("standard"), load_recipe("standard", ["data.limit=500"]))
