"""The pipeline's own twins under diagnosis."""

from __future__ import annotations

import pytest

from tests.turns import dealt_out
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.diagnosis.twins import diagnose_twins
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe


@pytest.mark.parametrize(
    ("overrides", "ids"),
    dealt_out(
        [
            ([], []),
            (
                ["regularization.dropout=0.5", "loop.training.training_flag=false"],
                ["training_flag_missing"],
            ),
        ],
        first=2,
    ),
)
def test_what_the_loop_does_otherwise_is_named(
    overrides: list[str], ids: list[str], small_train: ExampleStore
) -> None:
    recipe = load_recipe("standard", overrides)
    found = diagnose_twins(
        recipe, find_problem(recipe, labelled_images(small_train.shape, 10)), small_train
    )
    assert [cause.id for cause in found.causes] == ids
    assert found.verdict == ("causes_found" if ids else "identical")
