"""Several devices of one machine: the strategy a recipe asks for, the same for both twins.

A global batch is split over the replicas, every replica's mean loss counts by one over their number, and gradients are
summed: the update is that of the global batch wherever it is split evenly. `fit` splits a partial last batch into
parts that may differ by one example, whose weights then differ; the loop is handed the very same parts.

Several machines are left out: Keras 3's `fit` fails under MultiWorkerMirroredStrategy (keras-team/keras#20585).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from twintrain.errors import TwintrainError
from twintrain.recipe import Recipe


@contextmanager
def distributed(recipe: Recipe) -> Iterator[None]:
    """Inside, models are made and trained under the recipe's strategy.

    Raises:
        TwintrainError: the batch size cannot be shared out evenly.
    """
    if recipe.execution.strategy == "none":
        yield
        return
    strategy = tf.distribute.MirroredStrategy()
    replicas = strategy.num_replicas_in_sync
    if recipe.training.batch_size % replicas:
        raise TwintrainError(
            f"training.batch_size {recipe.training.batch_size} cannot be shared out evenly over {replicas} devices.",
            f"Use a multiple of {replicas}.",
        )
    with strategy.scope():
        yield
