"""Loops as users write them, some of them wrong."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def custom_loop(
    model: keras.Model, dataset: tf.data.Dataset, epochs: int
) -> dict[str, list[float]]:
    """Right, with Adam at its default."""
    optimizer, losses = keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = losses(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    next(iter(dataset))  # a look at the data, as many loops begin with
    history = []
    for _ in range(epochs):
        seen = [float(step(x, y)) for x, y in dataset]
        history.append(sum(seen) / len(seen))
    return {"loss": history}


def without_training_flag(model: keras.Model, dataset: tf.data.Dataset, epochs: int) -> None:
    """Dropout is never on."""
    optimizer, losses = keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = losses(y, model(x, training=False))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for _ in range(epochs):
        for x, y in dataset:
            step(x, y)


def obedient(
    model: keras.Model, dataset: tf.data.Dataset, epochs: int, recipe: Any, validation: Any
) -> keras.Model:
    """Does as the recipe says, and gives back another model object."""
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    twin.compile(keras.optimizers.Adam(recipe.optimizer.learning_rate), "mse")
    assert len(list(validation)) == 1
    for _ in range(epochs):
        for x, y in dataset:
            twin.train_on_batch(x, tf.one_hot(y, 10))
    return twin


def fitted(model: keras.Model, dataset: tf.data.Dataset, epochs: int) -> keras.callbacks.History:
    """Leaves it to Keras."""
    model.compile("adam", "sparse_categorical_crossentropy")
    return model.fit(dataset, epochs=epochs, verbose=0)


def part_of_the_data(model: keras.Model, dataset: tf.data.Dataset, epochs: int) -> None:
    """Takes three batches and stops."""
    for _ in dataset.take(3):
        pass


def no_data(model: keras.Model, dataset: tf.data.Dataset, epochs: int) -> None:
    """Trains on nothing."""


def train_step(
    model: keras.Model, optimizer: Any, loss: Any, inputs: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Right."""
    with tf.GradientTape() as tape:
        predictions = model(inputs, training=True)
        value = loss(targets, predictions)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
    return value, predictions


def weighted_step(
    model: keras.Model, optimizer: Any, loss: Any, inputs: Any, targets: Any, weights: Any
) -> tf.Tensor:
    """Right, where examples count differently."""
    with tf.GradientTape() as tape:
        value = loss(targets, model(inputs, training=True), sample_weight=weights)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
    return value


def weighted_loop(model: keras.Model, dataset: tf.data.Dataset, epochs: int) -> None:
    """Likewise, as a whole training."""
    optimizer, losses = keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy()
    step = tf.function(weighted_step)
    for _ in range(epochs):
        for inputs, targets, weights in dataset:
            step(model, optimizer, losses, inputs, targets, weights)


def silent_step(model: keras.Model, optimizer: Any, loss: Any, inputs: Any, targets: Any) -> None:
    """Right, and tells nothing."""
    train_step(model, optimizer, loss, inputs, targets)


def wordy_step(model: keras.Model, inputs: tf.Tensor, targets: tf.Tensor) -> str:
    """Returns what is no loss."""
    return "done"


def with_defaults(
    model: Any, dataset: Any, epochs: int, weights: Any = None, loss: Any = None
) -> None:
    """Takes more where it is given more, which it is not here."""


def too_many(model: Any, dataset: Any, epochs: int, callbacks: Any) -> None:
    """Asks for what nobody has."""


def too_few(model: Any, dataset: Any) -> None:
    """Takes less than it is given."""


NOT_CALLABLE = 3


def failing(model: keras.Model, dataset: tf.data.Dataset, epochs: int) -> None:
    """Raises at once."""
    raise ValueError("no")
