"""What both sides of a planted task are asked to do, what a pitfall asks of the task, and the `fit`
that a correct loop equals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import keras
import tensorflow as tf

LoopFunction = Callable[[keras.Model, tf.data.Dataset, int], Any]


class Trait(Enum):
    """What a task may have; the value says why a pitfall cannot show on a task without it."""

    PROBABILITIES = "needs class probabilities"
    TWO_MODES = "the model has neither dropout nor batch normalization"
    SCALE = "token numbers have no scale"
    ONE_OUTPUT = "needs one output per row"
    PADDING = "nothing is padded"
    LOOKUPS = "nothing is looked up in an embedding"


@dataclass(frozen=True)
class Planting:
    """What a pitfall asks of the task it is planted in.

    Attributes:
        needs: what the task must have; None for any task.
        not_beside: pitfalls that would be invisible or meaningless beside it, or it beside them.
        two_outputs: the model has a second output.
        half: mixed float16.
        weighted: the data has sample weights.
        constrained: a layer has a constraint, and the optimizer is SGD.
        scheduled: the learning rate follows a schedule.
        stopping: early stopping is on.
        warming: the loss has a weight that changes in the second epoch.
        stateful: the model has a stateful recurrent layer, and all batches are whole.
        optimizer: more arguments of the optimizer.
    """

    needs: Trait | None = None
    not_beside: frozenset[str] = frozenset()
    two_outputs: bool = False
    half: bool = False
    weighted: bool = False
    constrained: bool = False
    scheduled: bool = False
    stopping: bool = False
    warming: bool = False
    stateful: bool = False
    optimizer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What both sides are asked to do.

    Attributes:
        build: makes the model under a dtype policy; its `dropout`, masks and constraints are its
            own.
        test: makes the evaluation data.
        losses: per output, a Keras loss.
        optimizer: makes the optimizer.
        loss_weights: per output.
        stopping: patience of early stopping on the validation loss, best weights restored; 0 for
            none.
        half: mixed float16.
        warming: the loss is multiplied by `warmth(epoch)`.
    """

    build: Callable[[str], keras.Model]
    test: Callable[[], tf.data.Dataset]
    losses: tuple[keras.Loss, ...]
    optimizer: Callable[[], keras.Optimizer]
    loss_weights: tuple[float, ...] = (1.0,)
    stopping: int = 0
    half: bool = False
    warming: bool = False


def warmth(epoch: int) -> float:
    """The weight of the loss in an epoch (from 0)."""
    return 1.0 if epoch == 0 else 3.0


class Weighted(keras.losses.Loss):
    """A loss times a variable."""

    def __init__(self, loss: keras.Loss, weight: tf.Variable) -> None:
        super().__init__()
        self.loss, self.weight = loss, weight

    def call(self, y: Any, p: Any) -> tf.Tensor:
        return self.weight * self.loss.call(y, p)


def reference_fit(setup: Setup) -> LoopFunction:
    """`keras_fit` of a setup."""

    def keras_fit(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
        one = len(setup.losses) == 1
        weight = tf.Variable(1.0, trainable=False)
        losses = [Weighted(loss, weight) if setup.warming else loss for loss in setup.losses]
        model.compile(
            setup.optimizer(),
            loss=losses[0] if one else losses,
            loss_weights=None if one else list(setup.loss_weights),
        )
        anew = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: start_anew(model))
        warm = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: weight.assign(
                warmth(epoch) if setup.warming else 1.0
            )
        )
        stop = keras.callbacks.EarlyStopping(
            monitor="val_loss", patience=setup.stopping, restore_best_weights=True
        )
        return model.fit(
            shuffled(ds),
            epochs=epochs,
            validation_data=setup.test(),
            verbose=0,
            callbacks=[*([stop] if setup.stopping else []), warm, anew],
        )

    return keras_fit


def start_anew(model: keras.Model) -> None:
    """Recurrent layers forget what they carried over."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def shuffled(
    ds: tf.data.Dataset, buffer: int | None = None, batch: int | None = None, drop: bool = False
) -> tf.data.Dataset:
    """Rows in a new order every epoch, batched as before unless told otherwise."""
    sizes = [rows_in(element) for element in ds]
    count, size = sum(sizes), batch or sizes[0]
    found = ds.unbatch().shuffle(buffer or count, seed=7).batch(size, drop_remainder=drop)
    # Of a data set of unknown length, `fit` counts more updates than there are batches.
    batches = count // size if drop else -(-count // size)
    return found.apply(tf.data.experimental.assert_cardinality(batches))


def rows_in(element: Any) -> int:
    return len(keras.tree.flatten(element)[0])
