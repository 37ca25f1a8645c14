"""Several devices, of one machine or of several: the strategy a recipe asks for, the same for both
twins.

A global batch is split over the replicas, every replica's mean loss counts by one over their
number, and gradients are summed: the update is that of the global batch wherever it is split
evenly. A partial last batch is split by TensorFlow into equal parts with a smaller one at the end,
whose examples then weigh more; the loop is handed the very same parts as `fit`. Where a part would
be empty, layers fail or turn to NaN, so that such a batch is refused.

Keras 3.15's `fit` fails as it comes, for two reasons that have nothing to do with training. Before
the first epoch it averages a batch of examples over the replicas to learn its shapes, which
TensorFlow refuses where their parts differ in size or lie on several machines; and over several
machines it averages every figure of a step along an axis that a figure does not have
(keras-team/keras#20585). `let_fit_work_on_several` avoids both; steps, gradients, metrics, epochs
and callbacks stay Keras's own.

XLA cannot compile a whole step of several replicas, whose variables lie on several devices
(keras-team/keras#19005, #18145). It is then asked to compile what each device does by itself
(auto-clustering), for both twins alike.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import tensorflow as tf

from twintrain.errors import TwintrainError
from twintrain.processes.worker_group import WorkerGroup
from twintrain.recipe.recipe import Recipe

# TensorFlow's own variable: the addresses of all workers, and which of them this process is
CLUSTER = "TF_CONFIG"
_several: list[tf.distribute.Strategy] = []  # of this process: at most one


@contextmanager
def distributed(recipe: Recipe, train: int, evaluated: int) -> Iterator[None]:
    """Inside, models are made and trained under the recipe's strategy.

    Args:
        recipe: says which.
        train: examples per epoch.
        evaluated: examples per evaluation.

    Raises:
        TwintrainError: a batch cannot be shared out over the replicas.
    """
    if recipe.execution.strategy == "none":
        yield
        return
    strategy = _strategy(recipe.execution.strategy)
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        yield
        return
    share_out("training.batch_size", recipe.training.batch_size, train, replicas)
    share_out(
        "training.evaluation_batch_size",
        recipe.training.evaluation_batch_size,
        evaluated,
        replicas,
        evenly=False,
    )
    with strategy.scope(), _clustered(recipe.execution.xla):
        yield


def share_out(key: str, batch: int, examples: int, replicas: int, *, evenly: bool = True) -> None:
    """See that every batch can be shared out over the replicas.

    Args:
        key: of the recipe, for the message.
        batch: examples per batch.
        examples: examples per pass.
        replicas: how many share a batch.
        evenly: whether a whole batch must come out even.

    Raises:
        TwintrainError: it does not, or some replica gets nothing of a batch.
    """

    def problem(size: int) -> str:
        if evenly and size % replicas:
            return f"a batch cannot be shared out evenly over {replicas} devices"
        for there in (min(size, examples), examples % size):
            if 0 < there <= math.ceil(there / replicas) * (replicas - 1):
                return (
                    f"of {examples} examples, a batch of {there} leaves one of {replicas} devices "
                    "without any"
                )
        return ""

    if problem(batch):
        near = sorted(range(replicas, 2 * batch), key=lambda size: abs(size - batch))
        mend = next(
            (f"Set it to {size}." for size in near if not problem(size)), "Use fewer devices."
        )
        raise TwintrainError(f"{key} {batch}: {problem(batch)}.", mend)


def xla_takes_whole_steps(recipe: Recipe) -> bool:
    """Whether steps are made with `jit_compile`: where the recipe asks for XLA and there is one
    replica.
    """
    return recipe.execution.xla and tf.distribute.get_strategy().num_replicas_in_sync == 1


def join_cluster(group: WorkerGroup, minutes: float) -> None:
    """Make this process one of several workers that train together. Call it before TensorFlow does
    anything else.

    Raises:
        TwintrainError: somebody did not come within `minutes`.
    """
    workers = group.meet(minutes)
    place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": group.member}}
    os.environ[CLUSTER] = json.dumps(place)
    _several.append(tf.distribute.MultiWorkerMirroredStrategy())


def leads() -> bool:
    """Whether this process keeps what is written: it trains alone, or is the first of several
    workers.
    """
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    return bool(strategy.cluster_resolver.task_id == 0)


def let_fit_work_on_several(
    model: keras.Model, example: Callable[[], tuple[tf.Tensor, tf.Tensor]]
) -> None:
    """Prepare a compiled model for `fit` on several replicas; with one, do nothing.

    Args:
        model: compiled, in the strategy's scope.
        example: gives images and labels of any batch, for their shapes alone.
    """
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return
    model._symbolic_build(data_batch=example())
    model._maybe_symbolic_build = lambda **_: None
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        model.train_step = _with_an_axis(model.train_step)
        model.test_step = _with_an_axis(model.test_step)


def _with_an_axis(
    step: Callable[[Any], dict[str, tf.Tensor]],
) -> Callable[[Any], dict[str, tf.Tensor]]:
    return lambda data: {name: tf.reshape(value, [1]) for name, value in step(data).items()}


@contextmanager
def _clustered(wanted: bool) -> Iterator[None]:
    before = tf.config.optimizer.get_jit()
    tf.config.optimizer.set_jit("autoclustering" if wanted else before)
    try:
        yield
    finally:
        tf.config.optimizer.set_jit(before)


def _strategy(name: str) -> tf.distribute.Strategy:
    # Whatever is trained outside a group (a tuner's trials, an attribution's) has this machine to
    # itself.
    return _several[0] if name == "multi_worker" and _several else _mirrored()


@cache
def _mirrored() -> tf.distribute.Strategy:
    # One for all trainings of a process: each strategy numbers its collectives from the start, and
    # a second one's would meet those of the first, with other shapes.
    return tf.distribute.MirroredStrategy()
