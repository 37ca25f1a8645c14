"""The batches both twins eat: which examples, in which order, augmented how, and proof of what was
fed.

    source = BatchSource(store, recipe, seed=0, preparation=problem.preparation(recipe))
    source.epoch_order(epoch)            # int32 [n], the order of the examples in that epoch
    source.gather(indices, draws)        # in a graph: inputs and targets of one batch
    source.dataset(feed)                 # the same batches as a tf.data.Dataset, for `model.fit`

Every batch is fingerprinted in the graph, from the very tensors the model is given. The fingerprint
changes with any bit of any input, with any target and with the order, and does not depend on how
the sum is split over threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.data.class_weights import class_weights
from twintrain.data.columns import as_columns, as_inputs
from twintrain.data.example_store import ExampleStore
from twintrain.data.packing import PackedColumn
from twintrain.recipe.recipe import Recipe

Inputs: TypeAlias = tf.Tensor | dict[str, tf.Tensor]  # without a name, or named columns
_ROW_KEY = 0x9E3779B97F4A7C15 - 2**64  # 2**64 divided by the golden ratio, as int64
_TARGET_KEY = 0x2545F4914F6CDD1D


class Augmentation(Protocol):
    """Random changes of inputs, drawn per (seed, epoch, example), the same for both twins.

    Attributes:
        width: numbers drawn per example.
    """

    @property
    def width(self) -> int: ...  # noqa: D102 - the class says it

    def draw(self, count: int, seed: int, epoch: int) -> npt.NDArray[np.float32]:
        """Draws for every example in canonical order, float32 [count, width]."""

    def apply(self, inputs: Inputs, draws: tf.Tensor) -> Inputs:
        """A batch changed by its draws, [batch, width]; the shape stays."""


def unchanged(inputs: Inputs) -> Inputs:
    """Inputs as the store has them."""
    return inputs


@dataclass(frozen=True)
class Preparation:
    """What happens to inputs on their way from the store to the model.

    Attributes:
        rescale: brings them into the range the recipe asks for; in training and evaluation.
        augmentation: random changes, in training only; None for none.
    """

    rescale: Callable[[Inputs], Inputs] = unchanged
    augmentation: Augmentation | None = None


class BatchSource:
    """Seeded, resumable batches over one split.

    Args:
        store: the examples.
        recipe: the recipe as this twin obeys it.
        seed: decides order and augmentation, together with the epoch.
        preparation: what the problem makes of inputs.

    Attributes:
        class_weights: of each class, float32 [classes]; None where classes count alike.
    """

    def __init__(
        self, store: ExampleStore, recipe: Recipe, seed: int, preparation: Preparation
    ) -> None:
        self.store = store
        self.seed = seed
        self.batch_size = recipe.training.batch_size
        self._shuffle = recipe.training.shuffle
        self._augmentation = preparation.augmentation
        sizes = [int(np.prod(column.shape)) for column in store.columns.values()]
        self._keys = _fingerprint_keys(sum(sizes))
        self._examples = _Examples(store, preparation)
        self.class_weights = class_weights(recipe, store.targets)
        self._weights = None if store.weights is None else tf.constant(store.weights)

    @property
    def steps(self) -> int:
        """Batches per epoch; the last may be partial."""
        return -(-len(self.store) // self.batch_size)

    @property
    def device_resident(self) -> bool:
        """Whether examples are held in (device) memory, so that whole epochs can run in a graph."""
        return self.store.in_memory

    def epoch_order(self, epoch: int) -> npt.NDArray[np.int32]:
        """The order of the examples in an epoch, int32 [n]."""
        if not self._shuffle:
            return np.arange(len(self.store), dtype=np.int32)
        rng = np.random.default_rng([self.seed, epoch])
        return rng.permutation(len(self.store)).astype(np.int32)

    def epoch_draws(self, epoch: int) -> npt.NDArray[np.float32]:
        """What is drawn for each example in canonical order, float32 [n, width]; [0, 0] without
        augmentation.
        """
        if self._augmentation is None:
            return np.empty((0, 0), np.float32)
        return self._augmentation.draw(len(self.store), self.seed, epoch)

    def gather(self, indices: tf.Tensor, draws: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
        """One batch, in a graph.

        Args:
            indices: int32 [batch].
            draws: what `epoch_draws` gave for this epoch.

        Returns:
            inputs [batch, *shape], by name where they are named, and targets [batch, *target
            shape].
        """
        inputs, targets = self._examples.gather(indices)
        if self._augmentation is not None:
            inputs = self._augmentation.apply(inputs, tf.gather(draws, indices))
        return inputs, targets

    def example_batch(self) -> tuple[Inputs, tf.Tensor]:
        """Inputs and targets of the first examples in canonical order, as `gather` gives them; not
        augmented.
        """
        return self._examples.gather(tf.range(min(self.batch_size, len(self.store))))

    def weights(self, indices: tf.Tensor, targets: tf.Tensor) -> tf.Tensor | None:
        """How much each example of a batch counts in the loss; None where all count alike.

        Args:
            indices: int32 [batch].
            targets: theirs, [batch].

        Returns:
            float32 [batch]: its own weight times that of its class.
        """
        own = None if self._weights is None else tf.gather(self._weights, indices)
        if self.class_weights is None:
            return own
        by_class = tf.gather(self.class_weights, targets)
        return by_class if own is None else own * by_class

    @property
    def weighted(self) -> bool:
        """Whether examples count differently."""
        return self.class_weights is not None or self._weights is not None

    def fingerprint(self, inputs: Inputs, targets: tf.Tensor) -> tf.Tensor:
        """A 64-bit fingerprint of one batch, order included, as an int64 scalar.

        A sum modulo 2**64 of every value's bit pattern times a key of its place: exact integer
        arithmetic, so it is the same on every device and for every number of threads.
        """
        count = tf.shape(targets)[0]
        parts = [_integers(tf.reshape(part, [count, -1])) for part in as_columns(inputs).values()]
        bits = tf.concat(parts, axis=1) if len(parts) > 1 else parts[0]
        aims = _integers(tf.reshape(targets, [count, -1]))
        rows = tf.reduce_sum(bits * self._keys, axis=1)
        # Each of several targets of an example counts by its place too.
        places = 2 * tf.range(tf.shape(aims)[1], dtype=tf.int32) + 1
        rows += tf.reduce_sum((aims + 1) * tf.cast(places, tf.int64) * _TARGET_KEY, axis=1)
        places = 2 * tf.range(tf.size(rows, tf.int64), dtype=tf.int64) + 1
        return tf.reduce_sum(rows * (places * _ROW_KEY))

    def _plan_of(
        self, epoch: int
    ) -> tuple[np.int64, npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        return np.int64(epoch), self.epoch_order(epoch), self.epoch_draws(epoch)

    def dataset(self, feed: Feed, ahead: int = 2, weighted: bool = False) -> tf.data.Dataset:
        """The batches of the epoch that `feed` begins when iteration starts.

        Args:
            feed: says which epoch, and keeps what was taken.
            ahead: batches made before they are asked for.
            weighted: with `weights` as the third part, where there are any.

        Returns:
            a dataset of (inputs, targets) with known cardinality; each batch's fingerprint is
            written into `feed`.
        """
        width = self._augmentation.width if self._augmentation else 0

        def plan(_: tf.Tensor) -> tf.data.Dataset:
            epoch, order, draws = tf.numpy_function(
                lambda: self._plan_of(feed.begin()),
                [],
                [tf.int64, tf.int32, tf.float32],
            )
            order.set_shape([None])
            draws.set_shape([None, width])
            batches = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)
            return batches.map(
                lambda indices: (epoch, indices, *self.gather(indices, draws)),
                num_parallel_calls=2,
            )

        def record(
            epoch: tf.Tensor, indices: tf.Tensor, inputs: Inputs, targets: tf.Tensor
        ) -> tuple[Any, ...]:
            kept = tf.numpy_function(
                feed.record, [epoch, self.fingerprint(inputs, targets)], tf.bool
            )
            with tf.control_dependencies([kept]):
                inputs = tf.nest.map_structure(tf.identity, inputs)
            for name, part in as_columns(inputs).items():
                part.set_shape([None, *self.store.columns[name].shape])
            targets.set_shape([None, *self.store.targets.shape[1:]])
            if weighted and self.weighted:
                return inputs, targets, self.weights(indices, targets)
            return inputs, targets

        plans = tf.data.Dataset.range(1).flat_map(plan)
        known = tf.data.experimental.assert_cardinality(self.steps)
        made = plans.map(record)
        return (made.prefetch(ahead) if ahead else made).apply(known)


@dataclass
class Feed:
    """What `fit` is being fed: the epoch to serve next, and the fingerprints of what was taken.

    Attributes:
        epoch: set it before an epoch starts.
        fingerprints: per epoch, one int64 per batch in order.
    """

    epoch: int = 0
    fingerprints: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def start(self, epoch: int) -> None:
        """Serve this epoch from its first batch; anything peeked at before does not count."""
        self.epoch = epoch
        self.fingerprints[epoch] = []

    def begin(self) -> int:
        """Called from the graph when an iteration starts: the epoch to serve."""
        return self.epoch

    def record(self, epoch: np.int64, fingerprint: np.int64) -> np.bool_:
        """Called from the graph for each batch."""
        self.fingerprints[int(epoch)].append(int(fingerprint))
        return np.bool_(True)


def evaluation_dataset(
    store: ExampleStore, recipe: Recipe, preparation: Preparation
) -> tf.data.Dataset:
    """(inputs, targets) in canonical order, without augmentation, for validation."""
    examples = _Examples(store, preparation)
    indices = tf.data.Dataset.range(len(store)).batch(recipe.training.evaluation_batch_size)
    return indices.map(examples.gather).prefetch(1)


class _Examples:
    """A store's examples, gathered by index inside a graph."""

    def __init__(self, store: ExampleStore, preparation: Preparation) -> None:
        self._rescale = preparation.rescale
        self._columns = {
            name: _Column(column, store.in_memory) for name, column in store.columns.items()
        }
        self._targets = tf.constant(store.targets)

    def gather(self, indices: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
        inputs = as_inputs({name: one.gather(indices) for name, one in self._columns.items()})
        return self._rescale(inputs), tf.gather(self._targets, indices)


class _Column:
    """One column of them."""

    def __init__(self, column: PackedColumn, in_memory: bool) -> None:
        self._column = column
        # As codes: a quarter of the floats' size on the device.
        self._held = tf.constant(column.held) if in_memory else None
        self._palette = None if column.palette is None else tf.constant(column.palette)

    def gather(self, indices: tf.Tensor) -> tf.Tensor:
        if self._held is not None:
            held = tf.gather(self._held, indices)
        else:
            dtype = self._column.held.dtype
            held = tf.numpy_function(self._read, [indices], dtype, stateful=False)
            held.set_shape([None, *self._column.shape])
        if self._palette is None:
            return held
        return tf.gather(self._palette, tf.cast(held, tf.int32))

    def _read(self, indices: npt.NDArray[np.integer]) -> np.ndarray:
        return np.ascontiguousarray(self._column.held[indices])


def _integers(values: tf.Tensor) -> tf.Tensor:
    """Every value as an int64 that no other value of its type has."""
    if values.dtype.is_floating:
        values = tf.bitcast(tf.cast(values, tf.float32), tf.int32)
    return tf.cast(values, tf.int64)


def _fingerprint_keys(size: int) -> tf.Tensor:
    keys = np.random.default_rng(20260701).integers(-(2**63), 2**63 - 1, size, dtype=np.int64)
    return tf.constant(keys | 1)
