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
    end = load_recipe(name).for_twin("loop")
    same = [] if end.problem.module is None else [f"problem.module={end.problem.module}"]
    start = load_recipe("augmented", same).for_twin("fit")
    practices = practices_between(start, end)
    assert practices_between(mixed(start, practices, ()), start) == []
    assert (
        practices_between(mixed(start, practices, [practice.name for practice in practices]), end)
        == []
    )


def test_recipes_of_two_problems_are_about_different_data() -> None:
    with pytest.raises(TwintrainError, match=r"different data: problem\.module is None in one"):
        practices_between(load_recipe("standard"), load_recipe("flights"))


def test_phases_that_do_not_fit_into_the_others_epochs_are_switched_with_them() -> None:
    layers = "fine_tuning.layers=[dense]"
    short = load_recipe("standard", ["training.epochs=3"])
    long = load_recipe("standard", ["training.epochs=6", "fine_tuning.frozen_epochs=4", layers])
    (practice,) = practices_between(short, long)
    assert practice.name == "fine-tuning"
    assert "training.epochs" in practice.changes
    assert mixed(short, [practice], ["fine-tuning"]).training.epochs == 6
    fits = load_recipe("standard", ["training.epochs=6", "fine_tuning.frozen_epochs=2", layers])
    apart = practices_between(short, fits)
    assert {practice.name for practice in apart} == {"training length", "fine-tuning"}
    for practice in apart:
        for start, end in ((short, fits), (fits, short)):
            mixed(start, practices_between(start, end), [practice.name])


def test_recipes_about_different_data_are_refused() -> None:
    with pytest.raises(TwintrainError, match=r"data\.limit is None in one and 500 in the other"):
        practices_between(load_recipe("standard"), load_recipe("standard", ["data.limit=500"]))
