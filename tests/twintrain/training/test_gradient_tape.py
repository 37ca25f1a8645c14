"""The loop twin's own parts."""

import numpy as np
import pytest

from twintrain.data.batches import BatchSource, evaluation_dataset
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe
from twintrain.training.gradient_tape import Loop
from twintrain.training.keras_fit import compile_model
from twintrain.training.session import build, session


@pytest.mark.parametrize("size", [330, 100])
def test_evaluation_equals_that_of_fit(small_train: ExampleStore, size: int) -> None:
    """Bit for bit, over weights drawn anew: a sum that is shared out over other threads shows in
    some of them only.
    """
    recipe = load_recipe("textbook", [f"training.evaluation_batch_size={size}"])
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    preparation = problem.preparation(recipe)
    with session(recipe, 0):
        source = BatchSource(small_train, recipe, 0, preparation)
        built = build(recipe, problem, source.steps)
        loop = Loop(built, source, recipe)
        compile_model(built, recipe, steps_per_execution=2)
        validation = evaluation_dataset(small_train, recipe, preparation)
        draw = np.random.default_rng(5)
        shapes = [weight.shape for weight in built.model.get_weights()]
        for _ in range(12):
            built.model.set_weights([draw.normal(0, 0.2, shape) for shape in shapes])
            expected = built.model.evaluate(validation, return_dict=True, verbose=0)
            assert loop.evaluate(validation) == expected
