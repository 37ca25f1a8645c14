"""Images of any file format and size made into bytes of one shape."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from twintrain.errors import TwintrainError
from twintrain.intake.source import Encoded

_GREY = frozenset({"1", "L", "LA"})
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Shape:
    """What every image is made into.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        resize: whether images of other sizes are brought to this one, their proportions not kept, or refused.
        to_grey: whether colour may be given up.
    """

    height: int
    width: int
    channels: int
    resize: bool = False
    to_grey: bool = False

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(height, width, channels)"""
        return self.height, self.width, self.channels


def shape_like(first: Encoded, size: tuple[int, int] | None, channels: int | None) -> Shape:
    """The shape asked for, or where nothing is asked that of an image.

    Args:
        first: the image.
        size: (height, width) that all are brought to; None demands this image's of all.
        channels: 1 or 3; None takes this image's.

    Raises:
        TwintrainError: the image cannot be read.
    """
    image = _open(first)
    height, width = size or (image.height, image.width)
    grey = image.mode in _GREY
    return Shape(height, width, channels or (1 if grey else 3), size is not None, channels == 1)


def pixels_of(found: Encoded, shape: Shape) -> npt.NDArray[np.uint8]:
    """One image as bytes, uint8 [height, width, channels].

    A photograph is turned the way its camera was held; transparency is given up; other sizes are brought to the shape's
    with Pillow's bilinear filter.

    Raises:
        TwintrainError: it cannot be read, has more than 8 bits per value, or another size or colour than allowed.
    """
    image = _open(found)
    if shape.channels == 1 and image.mode not in _GREY and not shape.to_grey:
        raise TwintrainError(f"{found.where} has colour, the first image has none.", "Say --channels 3 or 1.")
    if (image.height, image.width) != (shape.height, shape.width):
        if not shape.resize:
            raise TwintrainError(
                f"{found.where} is {image.height} x {image.width}, the first image {shape.height} x {shape.width}.",
                f"Bring all to one size: --size {shape.height}x{shape.width}",
            )
        image = image.convert(_MODES[shape.channels]).resize((shape.width, shape.height), Image.Resampling.BILINEAR)
    return np.asarray(image.convert(_MODES[shape.channels]), np.uint8).reshape(shape.sizes)


def _open(found: Encoded) -> Image.Image:
    if isinstance(found.content, np.ndarray):
        return _of_array(found.content, found.where)
    try:
        with Image.open(io.BytesIO(found.content)) as image:
            image.load()
            if image.mode[0] in "IF":
                raise TwintrainError(f"{found.where} has more than 8 bits per value.", "Convert it to 8 bits.")
            return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise TwintrainError(
            f"{found.where} cannot be read as an image ({len(found.content):,} bytes).", "Mend it or take it away."
        ) from error


def _of_array(array: npt.NDArray[np.uint8], where: str) -> Image.Image:
    plain = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if plain.ndim == 3 and plain.shape[2] not in (3, 4):
        raise TwintrainError(f"{where} has {plain.shape[2]} channels.", "Images have 1, 3 or 4 (the last is left out).")
    return Image.fromarray(np.ascontiguousarray(plain))
