from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.twintrain.intake.images import as_png, pictures
from twintrain.errors import TwintrainError
from twintrain.intake.pixels import Shape, pixels_of, shape_like
from twintrain.intake.source import Encoded


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> Encoded:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Encoded("it", buffer.getvalue())


def test_the_shape_is_that_of_the_first_image() -> None:
    colour, grey = Encoded("a", as_png(pictures(1, 4, 5, 3)[0])), Encoded("b", as_png(pictures(1, 4, 5)[0]))
    assert shape_like(colour, None, None).sizes == (4, 5, 3)
    assert shape_like(grey, None, None).sizes == (4, 5, 1)
    assert shape_like(grey, (8, 9), 3) == Shape(8, 9, 3, resize=True)
    assert shape_like(Encoded("c", pictures(1, 2, 3, 1)[0]), None, None).sizes == (2, 3, 1)


def test_grey_goes_into_colour_and_colour_into_grey_only_when_asked() -> None:
    colour, grey = pictures(1, 4, 5, 3)[0], pictures(1, 4, 5)[0]
    assert (pixels_of(Encoded("b", as_png(grey)), Shape(4, 5, 3)) == grey[:, :, None]).all()
    with pytest.raises(TwintrainError, match="a has colour, the first image has none"):
        pixels_of(Encoded("a", as_png(colour)), Shape(4, 5, 1))
    made = pixels_of(Encoded("a", as_png(colour)), Shape(4, 5, 1, to_grey=True))
    # ITU-R 601: what Pillow's conversion to L says it does.
    assert np.abs(made[:, :, 0] - colour @ np.array([0.299, 0.587, 0.114])).max() <= 1


def test_transparency_is_given_up_and_palettes_become_colours() -> None:
    with_alpha = pictures(1, 4, 5, 4)[0]
    assert (pixels_of(encoded(Image.fromarray(with_alpha)), Shape(4, 5, 3)) == with_alpha[:, :, :3]).all()
    palette = Image.fromarray(np.repeat(np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8), 5, axis=1)).quantize(4)
    assert pixels_of(encoded(palette, "GIF"), Shape(2, 5, 3))[:, 0].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_photographs_are_turned_the_way_the_camera_was_held() -> None:
    upright = pictures(1, 6, 4, 3)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
    lying = encoded(Image.fromarray(np.rot90(upright)), "PNG", exif=exif)
    assert (pixels_of(lying, Shape(6, 4, 3)) == upright).all()


def test_resizing_keeps_what_is_even() -> None:
    plain = Encoded("it", np.full((10, 20, 3), 77, np.uint8))
    assert (pixels_of(plain, Shape(4, 4, 3, resize=True)) == 77).all()
    with pytest.raises(TwintrainError, match=r"it is 10 x 20, the first image 4 x 4.\n.*--size 4x4"):
        pixels_of(plain, Shape(4, 4, 3))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Encoded("it", b""), r"it cannot be read as an image \(0 bytes\)"),
        (Encoded("it", as_png(pictures(1, 40, 40)[0])[:200]), "it cannot be read as an image"),
        (encoded(Image.fromarray(np.full((4, 4), 40_000, np.uint16))), "it has more than 8 bits per value"),
        (Encoded("it", pictures(1, 4, 4, 2)[0]), "it has 2 channels"),
    ],
)
def test_what_is_no_image_of_bytes_is_told(found: Encoded, expected: str) -> None:
    with pytest.raises(TwintrainError, match=expected) as caught:
        pixels_of(found, Shape(4, 4, 1))
    assert caught.value.remedy
