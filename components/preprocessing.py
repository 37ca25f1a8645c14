"""The one preprocessing graph: both twins train on what it makes, and serving runs it on raw
examples.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from twintrain.data.idx import UNIT

INK_BUCKETS = 3


def preprocessing_fn(
    inputs: dict[str, tf.Tensor], custom_config: dict[str, Any]
) -> dict[str, tf.Tensor]:
    """Scale pixels to 0..1 and sort examples by how much ink they carry.

    Args:
        inputs: 'image' (raw bytes), 'label' int64 and 'example_id' (bytes), each [batch].
        custom_config: 'image_shape', (height, width, channels).

    Returns:
        'image' float32 [batch, height, width, channels]; 'label' int64 [batch]; 'example_id' bytes
        [batch]; 'ink' int64 [batch], 0 for the lightest third of the training images, 2 for the
        heaviest.
    """
    shape = [int(size) for size in custom_config["image_shape"]]
    raw = tf.reshape(tf.io.decode_raw(inputs["image"], tf.uint8), [-1, *shape])
    brightness = tf.reduce_sum(tf.cast(raw, tf.int64), axis=[1, 2, 3])
    return {
        "image": tf.cast(raw, tf.float32) * UNIT,
        "label": inputs["label"],
        "example_id": inputs["example_id"],
        # A small epsilon, so that the boundaries do not depend on how Beam bundled the examples.
        "ink": tft.bucketize(brightness, INK_BUCKETS, epsilon=1e-4),
    }
