"""Several devices, of one machine or of several: the strategy a recipe asks for, the same for both twins.

A global batch is split over the replicas, every replica's mean loss counts by one over their number, and gradients are
summed: the update is that of the global batch wherever it is split evenly. `fit` splits a partial last batch into
parts that may differ by one example, whose weights then differ; the loop is handed the very same parts.

Over several machines Keras 3.15's `fit` fails as it comes (keras-team/keras#20585), for two reasons that have nothing to
do with training: before the first epoch it averages a batch of examples to learn its shapes, which TensorFlow refuses
for values of several workers, and after each step it averages every figure along an axis that a figure does not have.
`let_fit_work_on_several` avoids both; steps, gradients, metrics, epochs and callbacks stay Keras's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from twintrain.crew import Crew
from twintrain.errors import TwintrainError
from twintrain.recipe import Recipe

CLUSTER = "TF_CONFIG"  # TensorFlow's own variable: the addresses of all workers, and which of them this process is
_several: list[tf.distribute.Strategy] = []  # of this process: at most one


@contextmanager
def distributed(recipe: Recipe) -> Iterator[None]:
    """Inside, models are made and trained under the recipe's strategy.

    Raises:
        TwintrainError: the batch size cannot be shared out evenly.
    """
    if recipe.execution.strategy == "none":
        yield
        return
    strategy = _strategy(recipe.execution.strategy)
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        yield
        return
    if recipe.training.batch_size % replicas:
        raise TwintrainError(
            f"training.batch_size {recipe.training.batch_size} cannot be shared out evenly over {replicas} devices.",
            f"Use a multiple of {replicas}.",
        )
    with strategy.scope():
        yield


def join_cluster(crew: Crew, minutes: float) -> None:
    """Make this process one of several workers that train together. Call it before TensorFlow does anything else.

    Raises:
        TwintrainError: somebody did not come within `minutes`.
    """
    workers = crew.meet(minutes)
    place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": crew.member}}
    os.environ[CLUSTER] = json.dumps(place)
    _several.append(tf.distribute.MultiWorkerMirroredStrategy())


def leads() -> bool:
    """Whether this process keeps what is written: it trains alone, or is the first of several workers."""
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    return bool(strategy.cluster_resolver.task_id == 0)


def let_fit_work_on_several(model: keras.Model, example: Callable[[], tuple[tf.Tensor, tf.Tensor]]) -> None:
    """Prepare a compiled model for `fit` under MultiWorkerMirroredStrategy; elsewhere do nothing.

    Args:
        model: compiled, in the strategy's scope.
        example: gives images and labels of any batch, for their shapes alone.
    """
    if not isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return
    model._symbolic_build(data_batch=example())
    model._maybe_symbolic_build = lambda **_: None
    model.train_step = _with_an_axis(model.train_step)
    model.test_step = _with_an_axis(model.test_step)


def _with_an_axis(step: Callable[[Any], dict[str, tf.Tensor]]) -> Callable[[Any], dict[str, tf.Tensor]]:
    return lambda data: {name: tf.reshape(value, [1]) for name, value in step(data).items()}


def _strategy(name: str) -> tf.distribute.Strategy:
    # Whatever is trained outside a crew (a tuner's trials, an attribution's) has this machine to itself.
    return _several[0] if name == "multi_worker" and _several else tf.distribute.MirroredStrategy()
