from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.problems.image_classification import ImageClassification
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.training.session import Built, build, build_optimizer, check_problem, session

SPEC = labelled_images((28, 28, 1), 10)
STEPS = 10
CLASSES = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "adagrad": keras.optimizers.Adagrad,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def built(*overrides: str, seed: int = 0) -> Built:
    recipe = load_recipe("standard", overrides)
    with session(recipe, seed):
        return build(recipe, find_problem(recipe, SPEC), STEPS)


def optimizer(*overrides: str) -> keras.Optimizer:
    return build_optimizer(load_recipe("standard", overrides), STEPS)


def rates(*overrides: str, steps: list[int]) -> list[float]:
    """Learning rate at each of some steps, as the optimizer takes it from its schedule."""
    found = optimizer(*overrides)
    taken = []
    for step in steps:
        found.iterations.assign(step)
        taken.append(float(found.learning_rate))
    return taken


def test_one_seed_builds_one_model_and_another_seed_another() -> None:
    first, again, other = (built(seed=seed).model.get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_what_is_built_is_what_the_problem_and_the_recipe_ask_for() -> None:
    found = built("model.name=mlp", "optimizer.name=sgd", "regularization.dropout=0.5")
    assert found.model.output_shape == (None, 10)
    assert any(isinstance(layer, keras.layers.Dropout) for layer in found.model.layers)
    assert isinstance(found.optimizer, keras.optimizers.SGD)
    assert isinstance(found.loss, keras.losses.SparseCategoricalCrossentropy)
    assert [metric.name for metric in found.metrics] == ["accuracy"]
    assert not found.optimizer.built  # whoever trains does that, where the variables are to live


def test_only_float16_needs_its_loss_scaled() -> None:
    for precision, scaled in [("mixed_float16", True), ("mixed_bfloat16", False)]:
        found = built(f"execution.precision={precision}", "optimizer.clipnorm=0.5")
        assert found.model.layers[0].compute_dtype == precision.removeprefix("mixed_")
        assert isinstance(found.optimizer, keras.optimizers.LossScaleOptimizer) == scaled
        inner = found.optimizer.inner_optimizer if scaled else found.optimizer
        assert (type(inner), inner.clipnorm) == (keras.optimizers.Adam, 0.5)


def test_a_session_leaves_precision_and_graph_rewrites_as_they_were() -> None:
    recipe = load_recipe("standard", ["execution.precision=mixed_bfloat16"])
    before = keras.config.dtype_policy().name
    folding = tf.config.optimizer.get_experimental_options().get("constant_folding", True)

    def fail() -> None:
        with session(recipe, 0):
            assert keras.config.dtype_policy().name == "mixed_bfloat16"
            assert tf.config.optimizer.get_experimental_options()["constant_folding"] is False
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert keras.config.dtype_policy().name == before
    assert tf.config.optimizer.get_experimental_options()["constant_folding"] == folding


def test_a_session_seeds_every_generator() -> None:
    def draws() -> tuple[float, float, float]:
        with session(load_recipe("standard"), 5):
            return (
                float(np.random.uniform()),
                float(tf.random.uniform(())),
                float(keras.random.uniform(())),
            )

    assert draws() == draws()


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_not_set_is_keras_own(name: str) -> None:
    found = optimizer(f"optimizer.name={name}")
    assert type(found) is CLASSES[name]
    own = CLASSES[name](learning_rate=0.001, name=found.name)
    assert found.get_config() == own.get_config()


def test_what_is_set_is_taken() -> None:
    config = optimizer(
        "optimizer.name=rmsprop",
        "optimizer.learning_rate=0.02",
        "optimizer.rho=0.7",
        "optimizer.momentum=0.4",
        "optimizer.epsilon=0.01",
        "optimizer.weight_decay=0.0",
        "optimizer.clipvalue=0.3",
        "optimizer.use_ema=true",
        "optimizer.ema_momentum=0.9",
    ).get_config()
    wanted = {
        "rho": 0.7,
        "momentum": 0.4,
        "epsilon": 0.01,
        "weight_decay": 0.0,
        "clipvalue": 0.3,
        "use_ema": True,
        "ema_momentum": 0.9,
    }
    assert wanted.items() <= config.items()
    assert config["learning_rate"] == pytest.approx(0.02)


def test_a_constant_rate_stays() -> None:
    assert rates("optimizer.learning_rate=0.5", steps=[0, 100]) == [0.5, 0.5]


def test_cosine_rises_in_the_warmup_and_falls_to_its_share() -> None:
    cosine = ["optimizer.learning_rate=1.0", "training.epochs=3", "schedule.kind=cosine"]
    cosine += ["schedule.warmup_epochs=1", "schedule.final_factor=0.1"]
    # Ten steps up, and half of the twenty that are left at the middle between 1 and 0.1.
    found = rates(*cosine, steps=[0, 5, 10, 20, 30, 40])
    assert found == pytest.approx([0, 0.5, 1, 0.55, 0.1, 0.1], abs=1e-6)
    assert rates(*cosine[:3], steps=[0, 15, 30]) == pytest.approx([1, 0.5, 0], abs=1e-6)


def test_exponential_falls_by_its_share_in_every_epoch() -> None:
    falling = ["optimizer.learning_rate=1.0", "schedule.kind=exponential"]
    found = rates(*falling, "schedule.decay_per_epoch=0.25", steps=[0, 5, 10, 20])
    assert found == pytest.approx([1, 0.5, 0.25, 0.0625])


def test_piecewise_changes_after_each_boundary() -> None:
    stepped = ["optimizer.learning_rate=2.0", "schedule.kind=piecewise"]
    stepped += ["schedule.boundaries=[0.01, 1.5]", "schedule.factors=[0.5, 0.1]"]
    # A boundary of less than a step comes after the first one.
    found = rates(*stepped, steps=[0, 1, 2, 15, 16])
    assert found == pytest.approx([2, 2, 1, 1, 0.2])


def model_of(outputs: int) -> ImageClassification:
    def make(recipe: Recipe, shape: tuple[int, ...], classes: int) -> keras.Model:
        head = keras.layers.Dense(outputs, "softmax")
        return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), head])

    return ImageClassification(SPEC, make)


def test_a_problem_is_held_against_a_batch_before_it_is_trained(small_train: ExampleStore) -> None:
    recipe = load_recipe("standard", ["execution.precision=mixed_bfloat16"])
    before = keras.config.dtype_policy().name
    check_problem(recipe, model_of(10), small_train)
    with pytest.raises(TwintrainError, match="32 x 3 numbers for a batch of 32"):
        check_problem(recipe, model_of(3), small_train)
    assert keras.config.dtype_policy().name == before
