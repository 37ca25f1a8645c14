"""What the image problem says when it is asked."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import DATA
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.data.idx_source import IdxData
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.problems.statement import IMAGES
from twintrain.recipe.files import load_recipe

SPEC = labelled_images((28, 28, 1), 10)


def test_scores_average_to_accuracy() -> None:
    outputs = np.eye(4, dtype=np.float32)[[0, 1, 2, 2]]
    scores = IMAGES.task.scores(np.array([0, 1, 3, 2]), outputs)
    assert scores.tolist() == [1, 1, 0, 1]


def test_choices_are_the_most_probable_class_and_its_lead() -> None:
    choices = IMAGES.task.choices(np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]], np.float32))
    assert choices.chosen.tolist() == [1, 0]
    assert choices.confidence.tolist() == pytest.approx([0.5, 0.6])
    assert choices.lead.tolist() == pytest.approx([0.2, 0.3])


@pytest.mark.parametrize(
    ("scale", "expected"), [("unit", [0, 1]), ("raw", [0, 255]), ("centred", [-1, 1])]
)
def test_inputs_are_rescaled_as_the_recipe_says(scale: str, expected: list[float]) -> None:
    recipe = load_recipe("standard", [f"training.input_scale={scale}"])
    preparation = find_problem(recipe, SPEC).preparation(recipe)
    assert preparation.rescale(tf.constant([0.0, 1.0])).numpy().tolist() == expected
    assert preparation.augmentation is None


def test_augmentation_changes_training_batches_only_where_it_is_asked_for() -> None:
    recipe = load_recipe("standard", ["augmentation.rotation=40"])
    augmentation = find_problem(recipe, SPEC).preparation(recipe).augmentation
    assert augmentation is not None
    assert augmentation.draw(5, seed=0, epoch=0).shape == (5, augmentation.width)


def test_ink_is_cut_into_thirds_of_the_training_images(small_train: ExampleStore) -> None:
    recipe = load_recipe("standard")
    problem = find_problem(recipe, SPEC)
    values = problem.slice_values(small_train, small_train)
    assert np.bincount(values["ink"]).tolist() == [110, 110, 110]
    darker = small_train.values(np.nonzero(values["ink"] == 2)[0]).sum(axis=(1, 2, 3))
    lighter = small_train.values(np.nonzero(values["ink"] == 0)[0]).sum(axis=(1, 2, 3))
    assert lighter.max() < darker.min()
    np.testing.assert_array_equal(values["label"], small_train.targets)


def test_slices_are_called_by_what_they_are() -> None:
    recipe = load_recipe("standard", ["comparison.label_names=[a,b,c,d,e,f,g,h,i,j]"])
    problem = find_problem(recipe, SPEC)
    assert problem.slice_value_name(recipe, "label", 1) == "b"
    assert problem.slice_value_name(recipe, "ink", 2) == "heavy"
    assert problem.slice_value_name(load_recipe("standard"), "label", 7) == "7"


def test_the_columns_of_a_source_are_those_of_the_problem() -> None:
    spec = IdxData(DATA).spec
    assert {spec.only.name, spec.target.name} < set(IMAGES.raw_columns)
    assert spec == SPEC


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mpl", "Did you mean 'mlp'?"),
        ("no.such:build", "cannot be imported"),
        ("tests.conftest:nothing", "has no 'nothing'"),
    ],
)
def test_a_model_that_is_not_there_is_said(name: str, expected: str) -> None:
    recipe = load_recipe("standard").model_copy(
        update={"model": type(load_recipe("standard").model)(name=name)}
    )
    with pytest.raises(TwintrainError) as error:
        find_problem(recipe, SPEC)
    assert expected in str(error.value)
