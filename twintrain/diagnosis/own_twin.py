"""Diagnosis of a loop of the user's own (`twins.loop`) against the fit twin, before both train."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.data.class_weights import class_weights
from twintrain.data.example_store import ExampleStore
from twintrain.diagnosis.catalogue import by_id
from twintrain.diagnosis.diagnose import diagnose
from twintrain.diagnosis.result import Cause, Diagnosis
from twintrain.diagnosis.watch.trace import FIT
from twintrain.diagnosis.watch.user_module import UserCodeError
from twintrain.errors import TwintrainError
from twintrain.parity.divergence import LockstepResult, OwnLoop
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import Recipe
from twintrain.training.keras_fit import compile_model, stopper
from twintrain.training.own_loop import OwnLoopTwin, OwnStepTwin
from twintrain.training.registry import twin_of
from twintrain.training.session import Built, build_optimizer, session

# Rows of the data that are looked at, and of the held-out ones.
ROWS, TEST_ROWS = 330, 110
DEADLINE = 240.0


def explain_own_loop(recipe: Recipe, problem: Problem, train: ExampleStore) -> LockstepResult:
    """What a loop of one's own does otherwise than `fit` by the same recipe.

    Args:
        recipe: names the loop.
        problem: what is learned.
        train: examples, of which a few are taken.

    Raises:
        TwintrainError: the loop raises, or makes no training step.
    """
    try:
        found = diagnose_own_loop(recipe, problem, train)
    except UserCodeError as error:
        raise TwintrainError(
            f"twins.loop: {recipe.twins.loop} fails:\n{error.text.rstrip()}",
            f"It is called with the model, a tf.data.Dataset of batches ({_parts(train)}), and the "
            "number of epochs.",
        ) from error
    return LockstepResult(
        steps=0,
        first=None,
        curve=[],
        own_loop=OwnLoop(
            verdict=found.verdict,
            causes=[_told(cause) for cause in found.causes],
            compared=[f"{look.what}: {look.said}" for look in found.coverage if look.compared],
            open=[f"{look.what}: {look.said}" for look in found.coverage if look.open],
            unexplained=found.unexplained,
        ),
    )


def _parts(train: ExampleStore) -> str:
    return "inputs, targets" if train.weights is None else "inputs, targets, weights"


def _told(cause: Cause) -> str:
    side = "fit" if cause.side == FIT else "your loop"
    where = f" at {cause.places[0].file}:{cause.places[0].line}" if cause.places else ""
    return f"{side} {by_id(cause.id).does}{where} ({cause.id})"


def diagnose_own_loop(recipe: Recipe, problem: Problem, train: ExampleStore) -> Diagnosis:
    """Diagnose `fit` by a recipe and the user's loop on a few rows of the data.

    Both are given the same batches, prepared as the recipe says; random augmentation is left out.
    """
    own = recipe.for_twin("fit")
    rows = np.unique(np.linspace(0, len(train) - 1, min(len(train), ROWS + TEST_ROWS)).astype(int))
    splits = {"train": rows[:ROWS], "test": rows[ROWS:] if len(rows) > ROWS else rows}
    rescale = problem.preparation(own).rescale

    def make_dataset(split: str) -> tf.data.Dataset:
        chosen = splits[split]
        inputs = rescale(tf.nest.map_structure(tf.constant, train.values(chosen)))
        parts: tuple[Any, ...] = (inputs, train.targets[chosen])
        if split == "train" and train.weights is not None:
            parts = (*parts, _weights(own, train, chosen).astype(np.float32))
        data = tf.data.Dataset.from_tensor_slices(parts)
        return data.batch(own.training.batch_size)

    def build_model() -> keras.Model:
        return problem.build_model(own)

    def keras_fit(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
        optimizer = build_optimizer(own, int(ds.cardinality()))
        compile_model(Built(model, optimizer, problem.loss(), problem.metrics()), own, 1)
        stops, weights = stopper(own.early_stopping), class_weights(own, train.targets)
        if train.weights is not None:
            weights = None  # a third part of the batches, in which those of classes are too
        return model.fit(
            ds,
            epochs=epochs,
            class_weight=None if weights is None else dict(enumerate(map(float, weights))),
            validation_data=make_dataset("test"),
            callbacks=[stops] if stops else [],
            verbose=0,
        )

    with session(own, recipe.seeds[0]):
        loop = _loop_of(recipe, problem, make_dataset, class_weights(own, train.targets))
        return diagnose(build_model, make_dataset, keras_fit, loop, DEADLINE)


def _weights(own: Recipe, train: ExampleStore, rows: np.ndarray) -> np.ndarray:
    """How much rows count, where they have weights of their own: that times their class's."""
    assert train.weights is not None
    by_class = class_weights(own, train.targets)
    return train.weights[rows] * (1 if by_class is None else by_class[train.targets[rows]])


def _loop_of(
    recipe: Recipe,
    problem: Problem,
    make_dataset: Callable[[str], tf.data.Dataset],
    by_class: np.ndarray | None,
) -> Callable[..., Any]:
    """The user's loop as the diagnosis calls it."""
    own = recipe.for_twin("loop")
    twin = twin_of(recipe, "loop")
    if isinstance(twin, OwnStepTwin):
        return _around_step(twin, own, problem, by_class)
    assert isinstance(twin, OwnLoopTwin)
    if not twin.further:
        return twin.function

    @wraps(twin.function)
    def custom_loop(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
        given = {"recipe": own, "validation": make_dataset("test")}
        return twin.function(model, ds, epochs, **{name: given[name] for name in twin.further})

    return custom_loop


def _around_step(
    twin: OwnStepTwin, own: Recipe, problem: Problem, by_class: np.ndarray | None
) -> Callable[..., Any]:
    """The user's step, called for every batch as this library's loop calls it."""

    def weights_of(targets: tf.Tensor, given: list[tf.Tensor]) -> tf.Tensor | None:
        if given:
            return given[0]
        return None if by_class is None else tf.gather(by_class, targets)

    def custom_loop(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> None:
        optimizer = build_optimizer(own, int(ds.cardinality()))
        step = twin.step_of(Built(model, optimizer, problem.loss(), problem.metrics()))
        called = tf.function(step, reduce_retracing=True) if own.training.compiled else step
        for _ in range(epochs):
            for inputs, targets, *given in ds:
                called(inputs, targets, weights_of(targets, given))
        optimizer.finalize_variable_values(model.trainable_variables)

    return custom_loop
