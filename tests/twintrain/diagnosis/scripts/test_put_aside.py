"""What a first look saw of large data does not stay in memory, and is the same data."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.scripts.put_aside import Aside
from twintrain.diagnosis.watch.on_disk import LARGE


def test_each_array_of_a_nest_is_put_aside_once() -> None:
    images, labels = np.random.default_rng(0).normal(size=(2, LARGE)), np.arange(2)
    aside = Aside()
    first = aside.put((images, labels))
    again = aside.put({"image": images})
    assert first[0] is again["image"]
    assert first[0] is not images
    np.testing.assert_array_equal(first[0], images)
    assert first[1] is labels


def test_what_is_no_array_stays() -> None:
    data = tf.data.Dataset.range(3)
    aside = Aside()
    for given in (None, data, [1, 2], "text"):
        assert aside.put(given) is given
