"""A model held against its problem on one batch, before anything is trained.

A model that does not fit its loss trains all the same: logits under a loss that wants probabilities
learn to 30 %, in both twins alike.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.data.batches import Inputs
from twintrain.data.columns import BARE, as_columns
from twintrain.errors import TwintrainError
from twintrain.problems.problem import Problem


def check_on_batch(problem: Problem, model: Any, inputs: Inputs, targets: tf.Tensor) -> None:
    """See that a freshly built model can be trained on this problem.

    Args:
        problem: what the model is for.
        model: what its `build_model` returned.
        inputs: of one batch, prepared, [batch, *input shape], by name where they are named.
        targets: [batch, *target shape].

    Raises:
        TwintrainError: it is no Keras model, has nothing to train, does not take the inputs, or its
            outputs are not what the loss takes them for: their number, shape, finiteness, range.
    """
    if not isinstance(model, keras.Model):
        raise TwintrainError(
            f"The model's function returns {type(model).__module__}.{type(model).__name__}.",
            "It must return a keras.Model (Keras 3), not compiled.",
        )
    outputs = _outputs(problem, model, inputs, len(targets))
    if not model.trainable_variables:
        raise TwintrainError(
            "The model has no trainable variables: there is nothing to train.",
            "Leave `trainable` of some layer at True.",
        )
    if not np.isfinite(outputs).all():
        bad = int((~np.isfinite(outputs)).reshape(len(outputs), -1).any(axis=1).sum())
        raise TwintrainError(
            f"Before any training the model gives NaN or infinity for {bad} of the first "
            f"{len(outputs)} examples.",
            "Look at its initial weights, and for divisions and logarithms in its layers.",
        )
    problem.task.check_outputs(outputs)
    loss = float(problem.loss()(targets, outputs))
    if not np.isfinite(loss):
        raise TwintrainError(
            f"The loss of the first batch is {loss}, before any training.",
            "Look at the targets and at what the loss makes of them.",
        )


def _outputs(problem: Problem, model: keras.Model, inputs: Inputs, count: int) -> np.ndarray:
    """The model's one output for the batch, float32, of the shape the problem wants."""
    try:
        found = keras.tree.flatten(model(inputs, training=False))
    except Exception as error:
        raise TwintrainError(
            f"The model does not take a batch of the data ({_shapes(inputs)} per example): {error}",
            "Let it take the shape its function is given.",
        ) from error
    if len(found) != 1:
        raise TwintrainError(
            f"The model has {len(found)} outputs.", "One output can be trained and compared."
        )
    outputs = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(found[0], "float32")))
    wanted = (count, *problem.output_shape)
    if outputs.shape != wanted:
        raise TwintrainError(
            f"The model gives {_size(outputs.shape)} for a batch of {count}, and "
            f"{_size(wanted)} are wanted{_why(problem)}.",
            "Let its last layer have one unit per class, or per label.",
        )
    return outputs


def _shapes(inputs: Inputs) -> str:
    """What the model was given per example: '28 x 28 x 1', 'age: number, words: 30'."""
    found = {
        name: " x ".join(map(str, part.shape[1:])) or "number"
        for name, part in as_columns(inputs).items()
    }
    return found.get(BARE) or ", ".join(f"{name}: {shape}" for name, shape in found.items())


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) + " numbers"


def _why(problem: Problem) -> str:
    if problem.task.SEVERAL:
        return f": there are {problem.output_shape[0]} labels"
    return "" if problem.spec.classes is None else f": there are {problem.spec.classes} classes"
