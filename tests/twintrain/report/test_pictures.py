"""Images of examples as PNG files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from twintrain.data.example_store import ExampleStore, build_store
from twintrain.report.pictures import pictures_of


def store_of(inputs: np.ndarray) -> ExampleStore:
    ids = np.array([f"e{row}" for row in range(len(inputs))], np.bytes_)
    return build_store([(inputs, np.zeros(len(inputs), np.int64), ids)], 1 << 20)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_named_ones_are_drawn_to_the_last_pixel(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4, channels), np.uint8)
    drawn = pictures_of(store_of(pixels.astype(np.float32) / np.float32(255)), {"e2", "e0", "no"})
    assert sorted(drawn) == ["e0", "e2"]
    for name, row in (("e0", 0), ("e2", 2)):
        image = np.asarray(Image.open(io.BytesIO(drawn[name])))
        np.testing.assert_array_equal(image.reshape(pixels[row].shape), pixels[row])


def test_what_is_no_image_is_not_drawn() -> None:
    assert pictures_of(store_of(np.ones((2, 7), np.float32)), {"e0"}) == {}
