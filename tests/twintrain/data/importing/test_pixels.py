from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.twintrain.data.importing.images import as_png, pictures
from twintrain.data.importing.pixels import Shape, pixels_of, shape_like
from twintrain.data.importing.source import Encoded
from twintrain.errors import TwintrainError


def deep_png() -> bytes:
    """A PNG of 2 x 2 pixels with 16 bits per colour, which Pillow alone does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = zlib.compress((b"\0" + b"\x01\xff" * 6) * 2)
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


DEEP = deep_png()


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> Encoded:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Encoded("it", buffer.getvalue())


def test_the_shape_is_that_of_the_first_image_that_can_be_read() -> None:
    colour, grey = (
        Encoded("a", as_png(pictures(1, 4, 5, 3)[0])),
        Encoded("b", as_png(pictures(1, 4, 5)[0])),
    )
    assert shape_like([Encoded("broken", b""), colour, grey], None, None).sizes == (4, 5, 3)
    assert shape_like([grey, colour], None, None).sizes == (4, 5, 1)
    assert shape_like([grey], (8, 9), 3) == Shape(8, 9, 3, resize=True)
    assert shape_like([Encoded("c", pictures(1, 2, 3, 1)[0])], None, None).sizes == (2, 3, 1)
    with pytest.raises(TwintrainError, match="broken cannot be read"):
        shape_like([Encoded("broken", b""), Encoded("too", b"")], None, None)


def test_grey_goes_into_colour_and_colour_into_grey_only_when_asked() -> None:
    colour, grey = pictures(1, 4, 5, 3)[0], pictures(1, 4, 5)[0]
    assert (pixels_of(Encoded("b", as_png(grey)), Shape(4, 5, 3)) == grey[:, :, None]).all()
    with pytest.raises(TwintrainError, match="a has colour, where images without are expected"):
        pixels_of(Encoded("a", as_png(colour)), Shape(4, 5, 1))
    made = pixels_of(Encoded("a", as_png(colour)), Shape(4, 5, 1, to_grey=True))
    # ITU-R 601: what Pillow's conversion to L says it does.
    assert np.abs(made[:, :, 0] - colour @ np.array([0.299, 0.587, 0.114])).max() <= 1


def test_palettes_become_colours_or_grey() -> None:
    stripes = np.repeat(np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8), 5, axis=1)
    assert pixels_of(encoded(Image.fromarray(stripes).quantize(4), "GIF"), Shape(2, 5, 3))[
        :, 0
    ].tolist() == [
        [255, 0, 0],
        [0, 0, 255],
    ]
    grey = encoded(
        Image.fromarray(np.repeat(np.array([[10], [200]], np.uint8), 5, axis=1))
        .convert("RGB")
        .quantize(4)
    )
    assert shape_like([grey], None, None).sizes == (2, 5, 1)
    assert pixels_of(grey, Shape(2, 5, 1))[:, 0, 0].tolist() == [10, 200]


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_behind_transparent_pixels_is_asked(channels: int) -> None:
    drawing = np.zeros((4, 5, 4), np.uint8)
    drawing[1:3, 1:3, 3] = 255  # black on nothing
    found = encoded(Image.fromarray(drawing))
    with pytest.raises(TwintrainError, match=r"it has transparent pixels.\n.*--background"):
        pixels_of(found, Shape(4, 5, 3))
    on_white = pixels_of(found, Shape(4, 5, channels, to_grey=True, background="white"))
    assert (on_white == np.where(drawing[:, :, 3:] == 255, 0, 255)).all()
    assert (pixels_of(found, Shape(4, 5, channels, to_grey=True, background="black")) == 0).all()
    drawing[:, :, 3] = 255
    assert (pixels_of(encoded(Image.fromarray(drawing)), Shape(4, 5, 3)) == 0).all()


def test_photographs_are_turned_the_way_the_camera_was_held() -> None:
    upright = pictures(1, 6, 4, 3)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
    lying = encoded(Image.fromarray(np.rot90(upright)), "PNG", exif=exif)
    assert (pixels_of(lying, Shape(6, 4, 3)) == upright).all()


def test_resizing_is_linear_between_pixels_and_knows_height_from_width() -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 40, dtype=np.uint8)[:, None, None], (6, 4, 3))
    made = pixels_of(Encoded("it", ramp), Shape(12, 2, 3, resize=True))
    assert made.shape == (12, 2, 3)
    assert made[:, 0, 0].tolist() == [0, 10, 30, 50, 70, 90, 110, 130, 150, 170, 190, 200]
    plain = Encoded("it", np.full((10, 20, 3), 77, np.uint8))
    with pytest.raises(
        TwintrainError, match=r"it is 10 x 20, the first image 4 x 4.\n.*--size 4x4"
    ):
        pixels_of(plain, Shape(4, 4, 3))


def test_a_photograph_with_odd_notes_of_its_camera_is_named() -> None:
    # Orientation 6, and a resolution unit that is text where the format has a number.
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(
        ">HHI4s", 0x0128, 2, 2, b"x\0\0\0"
    )
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + entries + bytes(4)
    with pytest.raises(TwintrainError, match="it cannot be read as an image"):
        pixels_of(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif), Shape(8, 8, 3))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Encoded("it", b""), r"it cannot be read as an image \(0 bytes\)"),
        (Encoded("it", as_png(pictures(1, 40, 40)[0])[:200]), "it cannot be read as an image"),
        (
            encoded(Image.fromarray(np.full((4, 4), 40_000, np.uint16))),
            "it has more than 8 bits per value",
        ),
        (Encoded("it", DEEP), "it has more than 8 bits per value"),
        (
            Encoded("it", b"", "cannot be read: Permission denied"),
            "it cannot be read: Permission denied.",
        ),
        (Encoded("it", pictures(1, 4, 4, 2)[0]), "it has 2 channels"),
    ],
)
def test_what_is_no_image_of_bytes_is_told(found: Encoded, expected: str) -> None:
    with pytest.raises(TwintrainError, match=expected) as caught:
        pixels_of(found, Shape(4, 4, 1))
    assert caught.value.remedy
