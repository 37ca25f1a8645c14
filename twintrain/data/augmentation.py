"""Random affine image changes as a pure function of (seed, epoch, example).

Both twins call the same function with the same draws, so an augmented batch is the same batch in
either of them, whatever the order in which batches are prepared and after any restart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.recipe.sections import Augmentation

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def draw_transforms(
    augmentation: Augmentation, count: int, size: tuple[int, int], seed: int, epoch: int
) -> npt.NDArray[np.float32]:
    """One projective transform per example, as `ImageProjectiveTransformV3` wants it.

    Args:
        augmentation: ranges to draw from.
        count: number of examples in the split.
        size: height and width in pixels.
        seed: the twin's seed.
        epoch: counted from 0.

    Returns:
        float32 [count, 8]; row i belongs to example i in canonical order. Each maps output to input
        coordinates.
    """
    if not augmentation.active:
        return np.tile(np.array(IDENTITY, np.float32), (count, 1))
    draws = np.random.default_rng([seed, epoch, 0xA06]).uniform(-1.0, 1.0, (count, 6))
    height, width = size
    angle = draws[:, 0] * math.radians(augmentation.rotation)
    shear = draws[:, 1] * augmentation.shear
    scale = 1.0 + draws[:, 2] * augmentation.zoom
    shift_x = draws[:, 3] * augmentation.shift * width
    shift_y = draws[:, 4] * augmentation.shift * height
    mirror = np.where(draws[:, 5] < 0, -1.0, 1.0) if augmentation.flip else np.ones(count)
    # Rotation, then shear along x, then zoom, then mirror, all about the centre of the image.
    a0 = scale * mirror * np.cos(angle)
    a1 = -scale * np.sin(angle + shear)
    b0 = scale * mirror * np.sin(angle)
    b1 = scale * np.cos(angle + shear)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    a2 = centre_x + shift_x - a0 * centre_x - a1 * centre_y
    b2 = centre_y + shift_y - b0 * centre_x - b1 * centre_y
    zero = np.zeros(count)
    return np.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1).astype(np.float32)


def apply_transforms(images: tf.Tensor, transforms: tf.Tensor, fill: str) -> tf.Tensor:
    """Warp images, bilinearly.

    Args:
        images: float32 [batch, height, width, channels].
        transforms: float32 [batch, 8] from `draw_transforms`.
        fill: what stands outside the image, one of Keras's fill modes.

    Returns:
        float32, shape of `images`.
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode=fill.upper(),
    )


@dataclass(frozen=True)
class ImageAugmentation:
    """The recipe's augmentation of images of one size, as batches want it (`batches.Augmentation`).

    Attributes:
        rules: ranges to draw from.
        size: height and width in pixels.
        on_cpu: interpolate there wherever the batch is: a GPU rounds otherwise.
    """

    rules: Augmentation
    size: tuple[int, int]
    on_cpu: bool

    width: ClassVar[int] = len(IDENTITY)

    def draw(self, count: int, seed: int, epoch: int) -> npt.NDArray[np.float32]:
        """One transform per example in canonical order, float32 [count, 8]."""
        return draw_transforms(self.rules, count, self.size, seed, epoch)

    def apply(self, inputs: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Warp a batch, float32 [batch, height, width, channels]."""
        # A GPU interpolates with other roundings than a CPU, where tf.data always works: pinned
        # when bits must agree.
        with tf.device("/CPU:0" if self.on_cpu else None):
            return apply_transforms(inputs, draws, self.rules.fill)
