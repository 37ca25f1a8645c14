"""The batches both twins eat: which examples, in which order, augmented how, and proof of what was
fed.

    source = BatchSource(store, recipe, seed=0)
    source.epoch_order(epoch)            # int32 [n], the order of the examples in that epoch
    source.gather(indices, transforms)   # in a graph: images and labels of one batch
    source.dataset(feed)                 # the same batches as a tf.data.Dataset, for `model.fit`

Every batch is fingerprinted in the graph, from the very tensors the model is given. The fingerprint
changes with any bit of any image, with any label and with the order, and does not depend on how the
sum is split over threads.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.data.augmentation import apply_transforms, draw_transforms
from twintrain.data.example_store import ExampleStore
from twintrain.recipe.recipe import Recipe

_ROW_KEY = 0x9E3779B97F4A7C15 - 2**64  # 2**64 divided by the golden ratio, as int64
_LABEL_KEY = 0x2545F4914F6CDD1D


class BatchSource:
    """Seeded, resumable batches over one split.

    Args:
        store: the examples.
        recipe: the recipe as this twin obeys it.
        seed: decides order and augmentation, together with the epoch.
    """

    def __init__(self, store: ExampleStore, recipe: Recipe, seed: int) -> None:
        self.store = store
        self.seed = seed
        self.batch_size = recipe.training.batch_size
        self._shuffle = recipe.training.shuffle
        self._augmentation = recipe.augmentation
        self._on_cpu = recipe.execution.deterministic
        self._keys = _fingerprint_keys(int(np.prod(store.shape)))
        self._examples = _Examples(store, recipe.training.input_scale)

    @property
    def steps(self) -> int:
        """Batches per epoch; the last may be partial."""
        return -(-len(self.store) // self.batch_size)

    @property
    def device_resident(self) -> bool:
        """Whether the examples are held in (device) memory, so that whole epochs can run in a
        graph.
        """
        return self.store.in_memory

    def epoch_order(self, epoch: int) -> npt.NDArray[np.int32]:
        """The order of the examples in an epoch, int32 [n]."""
        if not self._shuffle:
            return np.arange(len(self.store), dtype=np.int32)
        return (
            np.random.default_rng([self.seed, epoch]).permutation(len(self.store)).astype(np.int32)
        )

    def epoch_transforms(self, epoch: int) -> npt.NDArray[np.float32]:
        """One transform per example in canonical order, float32 [n, 8]; [0, 8] without
        augmentation.
        """
        if not self._augmentation.active:
            return np.empty((0, 8), np.float32)
        height, width = self.store.shape[:2]
        return draw_transforms(
            self._augmentation, len(self.store), (height, width), self.seed, epoch
        )

    def gather(self, indices: tf.Tensor, transforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One batch, in a graph.

        Args:
            indices: int32 [batch].
            transforms: what `epoch_transforms` gave for this epoch.

        Returns:
            images float32 [batch, *shape] and labels int64 [batch].
        """
        images, labels = self._examples.gather(indices)
        if self._augmentation.active:
            images = self._augment(images, tf.gather(transforms, indices))
        return images, labels

    def example_batch(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Images and labels of the first examples in canonical order, as `gather` gives them; not
        augmented.
        """
        return self._examples.gather(tf.range(min(self.batch_size, len(self.store))))

    def _augment(self, images: tf.Tensor, transforms: tf.Tensor) -> tf.Tensor:
        # A GPU interpolates with other roundings than a CPU, where tf.data always works: pinned
        # when bits must agree.
        with tf.device("/CPU:0" if self._on_cpu else None):
            return apply_transforms(images, transforms, self._augmentation.fill)

    def fingerprint(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """A 64-bit fingerprint of one batch, order included, as an int64 scalar.

        A sum modulo 2**64 of every value's bit pattern times a key of its place: exact integer
        arithmetic, so it is the same on every device and for every number of threads.
        """
        bits = tf.cast(
            tf.bitcast(tf.reshape(images, [-1, self._keys.shape[0]]), tf.int32), tf.int64
        )
        rows = tf.reduce_sum(bits * self._keys, axis=1) + (labels + 1) * _LABEL_KEY
        places = 2 * tf.range(tf.size(rows, tf.int64), dtype=tf.int64) + 1
        return tf.reduce_sum(rows * (places * _ROW_KEY))

    def dataset(self, feed: Feed) -> tf.data.Dataset:
        """The batches of `feed.epoch` (as it stands when iteration starts) for `model.fit`.

        Returns:
            a dataset of (images, labels) with known cardinality; each batch's fingerprint is
            written into `feed`.
        """

        def plan(_: tf.Tensor) -> tf.data.Dataset:
            epoch, order, transforms = tf.numpy_function(
                lambda: (
                    np.int64(feed.epoch),
                    self.epoch_order(feed.epoch),
                    self.epoch_transforms(feed.epoch),
                ),
                [],
                [tf.int64, tf.int32, tf.float32],
            )
            order.set_shape([None])
            transforms.set_shape([None, 8])
            batches = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)
            return batches.map(
                lambda indices: (epoch, *self.gather(indices, transforms)), num_parallel_calls=2
            )

        def record(
            epoch: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            kept = tf.numpy_function(
                feed.record, [epoch, self.fingerprint(images, labels)], tf.bool
            )
            with tf.control_dependencies([kept]):
                images = tf.identity(images)
            images.set_shape([None, *self.store.shape])
            labels.set_shape([None])
            return images, labels

        plans = tf.data.Dataset.range(1).flat_map(plan)
        return (
            plans.map(record).prefetch(2).apply(tf.data.experimental.assert_cardinality(self.steps))
        )


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

    def record(self, epoch: np.int64, fingerprint: np.int64) -> np.bool_:
        """Called from the graph for each batch."""
        self.fingerprints[int(epoch)].append(int(fingerprint))
        return np.bool_(True)


def evaluation_dataset(store: ExampleStore, recipe: Recipe) -> tf.data.Dataset:
    """(images, labels) in canonical order, without augmentation, for validation."""
    examples = _Examples(store, recipe.training.input_scale)
    indices = tf.data.Dataset.range(len(store)).batch(recipe.training.evaluation_batch_size)
    return indices.map(examples.gather).prefetch(1)


def scaled(images: tf.Tensor, scale: str) -> tf.Tensor:
    """Images in 0..1 brought to the range of `training.input_scale`; float32, any shape."""
    if scale == "raw":
        return images * 255.0
    return images * 2.0 - 1.0 if scale == "centred" else images


class _Examples:
    """A store's examples, gathered by index inside a graph."""

    def __init__(self, store: ExampleStore, scale: str) -> None:
        self._store, self._scale = store, scale
        # As integers: a quarter of the floats' size on the device.
        self._pixels = tf.constant(store.pixels) if store.in_memory else None
        self._palette = None if store.palette is None else tf.constant(store.palette)
        self._labels = tf.constant(store.labels)

    def gather(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self._pixels is not None:
            pixels = tf.gather(self._pixels, indices)
        else:
            pixels = tf.numpy_function(
                self._read, [indices], self._store.pixels.dtype, stateful=False
            )
            pixels.set_shape([None, *self._store.shape])
        images = (
            pixels if self._palette is None else tf.gather(self._palette, tf.cast(pixels, tf.int32))
        )
        return scaled(images, self._scale), tf.gather(self._labels, indices)

    def _read(self, indices: npt.NDArray[np.integer]) -> np.ndarray:
        return np.ascontiguousarray(self._store.pixels[indices])


def _fingerprint_keys(size: int) -> tf.Tensor:
    keys = np.random.default_rng(20260701).integers(-(2**63), 2**63 - 1, size, dtype=np.int64)
    return tf.constant(keys | 1)
