"""Images of any file format and size made into bytes of one shape."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from twintrain.data.importing.source import Encoded
from twintrain.errors import TwintrainError

MOST_PIXELS = 4096  # of a side
BACKGROUNDS = {"white": 255, "black": 0}
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Shape:
    """What every image is made into.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        resize: whether images of other sizes are brought to this one, their proportions not kept,
            or refused.
        to_grey: whether colour may be given up.
        background: what is behind transparent pixels, a key of `BACKGROUNDS`; None refuses them.
    """

    height: int
    width: int
    channels: int
    resize: bool = False
    to_grey: bool = False
    background: str | None = None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(height, width, channels)"""
        return self.height, self.width, self.channels


def shape_like(
    found: Iterable[Encoded],
    size: tuple[int, int] | None,
    channels: int | None,
    background: str | None = None,
) -> Shape:
    """The shape asked for, or where nothing is asked that of the first image that can be read.

    Args:
        found: images; no more of them are read than needed.
        size: (height, width) that all are brought to; None demands this image's of all.
        channels: 1 or 3; None takes this image's.
        background: see `Shape`.

    Raises:
        TwintrainError: none can be read.
    """
    first: TwintrainError | None = None
    for one in found:
        try:
            image = _open(one)
        except TwintrainError as error:
            first = first or error
            continue
        height, width = size or (image.height, image.width)
        taken = channels or (1 if _is_grey(image) else 3)
        return Shape(height, width, taken, size is not None, channels == 1, background)
    raise first or TwintrainError(
        "There are no images.", "Name a directory or a file that has some."
    )


def pixels_of(found: Encoded, shape: Shape) -> npt.NDArray[np.uint8]:
    """One image as bytes, uint8 [height, width, channels].

    A photograph is turned the way its camera was held; of several frames or pages the first is
    taken; other sizes are brought to the shape's with Pillow's bilinear filter.

    Raises:
        TwintrainError: it cannot be read, has more than 8 bits per value, or another size, colour
            or transparency than allowed.
    """
    image = _opaque(_open(found), found.where, shape.background)
    if shape.channels == 1 and not _is_grey(image) and not shape.to_grey:
        raise TwintrainError(
            f"{found.where} has colour, where images without are expected.",
            "Give colour up with --channels 1, or keep it in all with --channels 3.",
        )
    if (image.height, image.width) != (shape.height, shape.width) and not shape.resize:
        raise TwintrainError(
            f"{found.where} is {image.height} x {image.width}, the first image {shape.height} x "
            f"{shape.width}.",
            f"Bring all to one size: --size {shape.height}x{shape.width}",
        )
    image = image.convert(_MODES[shape.channels])
    if (image.height, image.width) != (shape.height, shape.width):
        image = image.resize((shape.width, shape.height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(shape.sizes)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA")


def _open(found: Encoded) -> Image.Image:
    """The image in one of the modes 1, L, LA, RGB, RGBA or another that has colour and no
    transparency.
    """
    if found.fault:
        raise TwintrainError(f"{found.where} {found.fault}.", "Mend it or take it away.")
    if isinstance(found.content, np.ndarray):
        return _of_array(found.content, found.where)
    try:
        with Image.open(io.BytesIO(found.content)) as image:
            deep = image.mode[0] in "IF" or any(";16" in str(tile[3]) for tile in image.tile)
            image.load()
            upright = _without_palette(ImageOps.exif_transpose(image))
    except Exception as error:
        # Decoders let out whatever a broken file brings about, struct.error and TypeError too.
        raise TwintrainError(
            f"{found.where} cannot be read as an image ({len(found.content):,} bytes).",
            "Mend it or take it away.",
        ) from error
    if deep:
        raise TwintrainError(
            f"{found.where} has more than 8 bits per value.", "Convert it to 8 bits."
        )
    return upright


def _without_palette(image: Image.Image) -> Image.Image:
    """A palette says nothing about colour: a grey GIF has one."""
    if image.mode not in ("P", "PA"):
        return image.convert("RGBA") if "transparency" in image.info else image
    full = image.convert("RGBA")
    values = np.asarray(full)
    grey = (values[:, :, :1] == values[:, :, 1:3]).all()
    clear = values[:, :, 3].min() < 255
    return full.convert("LA" if grey and clear else "L" if grey else "RGBA" if clear else "RGB")


def _opaque(image: Image.Image, where: str, background: str | None) -> Image.Image:
    """The image before its background, where anything of that is seen."""
    if image.mode not in ("LA", "RGBA"):
        return image
    solid = "L" if image.mode == "LA" else "RGB"
    if np.asarray(image.getchannel("A")).min() == 255:
        return image.convert(solid)
    if background is None:
        raise TwintrainError(
            f"{where} has transparent pixels.",
            "Say what is behind them: --background white or black.",
        )
    behind = Image.new("RGBA", image.size, (BACKGROUNDS[background],) * 3 + (255,))
    return Image.alpha_composite(behind, image.convert("RGBA")).convert(solid)


def _of_array(array: npt.NDArray[np.uint8], where: str) -> Image.Image:
    plain = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if plain.ndim == 3 and plain.shape[2] not in (3, 4):
        raise TwintrainError(
            f"{where} has {plain.shape[2]} channels.",
            "Images have 1, 3 or 4 (the last: transparency).",
        )
    return Image.fromarray(np.ascontiguousarray(plain))
