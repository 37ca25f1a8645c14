"""From a recipe to Keras objects, and the process state both twins need before they start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import tensorflow as tf

from twintrain.data.batches import BatchSource
from twintrain.data.example_store import ExampleStore
from twintrain.errors import TwintrainError
from twintrain.problems.batch_check import check_on_batch
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import TWINS, Recipe
from twintrain.recipe.sections import OptimizerSettings
from twintrain.training.phases import AsBuilt, Phase, phases_of


@dataclass(frozen=True)
class Built:
    """A model and what trains it, fresh and seeded."""

    model: keras.Model
    optimizer: keras.Optimizer
    loss: keras.Loss
    metrics: list[keras.Metric]
    as_built: AsBuilt | None = None  # where there are two phases


@contextmanager
def session(recipe: Recipe, seed: int) -> Iterator[None]:
    """Seeds, precision, determinism and graph rewrites as the recipe asks; precision is restored
    afterwards.

    Op determinism cannot be switched off again within a process (TensorFlow has no call for it).
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    if recipe.execution.deterministic:
        tf.config.experimental.enable_op_determinism()
    before = keras.config.dtype_policy()
    options = tf.config.optimizer.get_experimental_options()
    # Grappler's constant folding regroups batch-norm arithmetic differently in the two twins'
    # graphs (2e-2 after 100 steps of Adam, 0.0 with it off), and XLA is left to the recipe alone.
    tf.config.optimizer.set_experimental_options(
        {"constant_folding": not recipe.execution.deterministic}
    )
    keras.config.set_dtype_policy(recipe.execution.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
        tf.config.optimizer.set_experimental_options(
            {"constant_folding": options.get("constant_folding", True)}
        )


def build(recipe: Recipe, problem: Problem, steps_per_epoch: int) -> Built:
    """Model, optimizer, loss and metrics of a recipe, as its first phase needs them. Call it inside
    `session`.

    Raises:
        TwintrainError: `fine_tuning.layers` does not fit the model.
    """
    model, phase = problem.build_model(recipe), phases_of(recipe)[0]
    optimizer = _optimizer_of(phase, steps_per_epoch)
    as_built = _frozen(model, phase)
    return Built(model, optimizer, problem.loss(), problem.metrics(), as_built)


def _frozen(model: keras.Model, phase: Phase) -> AsBuilt | None:
    if not phase.frozen:
        return None
    as_built = AsBuilt(model)
    as_built.freeze(phase.frozen)
    return as_built


def in_phase(built: Built, phase: Phase, problem: Problem, steps_per_epoch: int) -> Built:
    """The same model in another phase: other layers train, under a fresh optimizer. Call it inside
    `session`.
    """
    assert built.as_built is not None
    built.as_built.freeze(phase.frozen)
    optimizer = _optimizer_of(phase, steps_per_epoch)
    return Built(built.model, optimizer, problem.loss(), problem.metrics(), built.as_built)


def _optimizer_of(phase: Phase, steps_per_epoch: int) -> keras.Optimizer:
    optimizer = build_optimizer(phase.recipe, steps_per_epoch)
    if phase.recipe.execution.precision == "mixed_float16":
        # `compile` would wrap it for fit; wrapped here, both twins hold the same object.
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def check_problem(recipe: Recipe, problem: Problem, train: ExampleStore) -> None:
    """Hold the problem's model against one batch, before anything is trained.

    Raises:
        TwintrainError: it cannot be trained on these examples; see `check_on_batch`. Or
            `fine_tuning.layers` of a twin does not fit it, or XLA is to weigh examples.
    """
    own = recipe.for_twin("fit")
    xla = any(recipe.for_twin(twin).execution.xla for twin in TWINS)
    if xla and train.weights is not None:
        raise TwintrainError(
            "execution.xla and examples that count differently (WEIGHT) exclude each other: XLA "
            "rounds a weighted loss otherwise in the two twins.",
            "Set execution.xla=false, or leave the weights out.",
        )
    with session(own, own.seeds[0]):
        source = BatchSource(train, own, own.seeds[0], problem.preparation(own))
        check_on_batch(problem, problem.build_model(own), *source.example_batch())
    for mine in map(recipe.for_twin, TWINS):
        if mine.fine_tuning.frozen_epochs:
            # In a session of its own: Keras numbers the layers of further models on.
            with session(mine, mine.seeds[0]):
                _frozen(problem.build_model(mine), phases_of(mine)[0])


def build_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.Optimizer:
    """The recipe's optimizer with its schedule; fields left at None keep Keras's defaults."""
    settings = {
        name: value
        for name in OptimizerSettings.model_fields
        if name not in ("name", "learning_rate")
        and (value := getattr(recipe.optimizer, name)) is not None
    }
    config = {"learning_rate": _learning_rate(recipe, steps_per_epoch), **settings}
    classes = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "nadam": keras.optimizers.Nadam,
        "adamax": keras.optimizers.Adamax,
        "adagrad": keras.optimizers.Adagrad,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": keras.optimizers.SGD,
    }
    return classes[recipe.optimizer.name](**config)


def _learning_rate(
    recipe: Recipe, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    rate, schedule = recipe.optimizer.learning_rate, recipe.schedule
    schedules = keras.optimizers.schedules
    if schedule.kind == "cosine":
        warmup = round(schedule.warmup_epochs * steps)
        total = recipe.training.epochs * steps
        return schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else rate,
            decay_steps=max(1, total - warmup),
            alpha=schedule.final_factor,
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    if schedule.kind == "exponential":
        return schedules.ExponentialDecay(
            rate, decay_steps=steps, decay_rate=schedule.decay_per_epoch
        )
    if schedule.kind == "piecewise":
        boundaries = [max(1, round(epoch * steps)) for epoch in schedule.boundaries]
        return schedules.PiecewiseConstantDecay(
            boundaries, [rate, *(rate * factor for factor in schedule.factors)]
        )
    return rate
