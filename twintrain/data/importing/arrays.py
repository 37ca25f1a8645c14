"""NumPy archives: `x_train`, `y_train`, `x_test`, `y_test` as Keras's own, or `train_images` … as
MedMNIST's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.data.importing.archive import Archive, open_archive
from twintrain.data.importing.source import (
    TEST,
    TRAIN,
    Encoded,
    LabelledImages,
    Source,
    checked_labels,
    listed,
)
from twintrain.errors import TwintrainError

# Names of images and labels, per split.
NAMES = {
    TRAIN: (
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("x", "y"),
        ("images", "labels"),
    ),
    TEST: (
        ("x_test", "y_test"),
        ("test_images", "test_labels"),
        ("x_val", "y_val"),
        ("val_images", "val_labels"),
    ),
}
_REMEDY = "np.savez('data.npz', x_train=…, y_train=…, x_test=…, y_test=…) makes one."


def read_arrays(path: Path) -> Source:
    """The images of a .npz file, in their order there; all of them are held in memory.

    Raises:
        TwintrainError: it is no such file, lacks the arrays, or they are no bytes of images and
            their labels.
    """
    with open_archive(path, _REMEDY) as archive:
        names = _names_of_splits(archive.names, path)
        splits = {split: _pictures(archive, *pair) for split, pair in names.items()}
        left = sorted(set(archive.names).difference(*names.values()))
    return Source(splits, notes=(f"{path}: not used: {listed(left)}.",) if left else ())


def _names_of_splits(there: tuple[str, ...], path: Path) -> dict[str, tuple[str, str]]:
    """What the images and the labels of each split are called in the archive."""
    found = {
        split: pair
        for split, pairs in NAMES.items()
        if (pair := next((pair for pair in pairs if set(pair) <= set(there)), None))
    }
    if TRAIN not in found:
        raise TwintrainError(
            f"{path} holds {listed([*there]) or 'nothing'}; neither x_train and y_train nor x and "
            "y.",
            "Unpack an archive of image files first." if path.suffix == ".zip" else _REMEDY,
        )
    return found


def _pictures(archive: Archive, images: str, labels: str) -> LabelledImages:
    path = archive.path
    pixels = _bytes(archive.read(images), f"{images} in {path}")
    numbers = checked_labels(archive.read(labels), f"{labels} in {path}")
    if len(pixels) != len(numbers):
        raise TwintrainError(
            f"{path} holds {len(pixels):,} {images} and {len(numbers):,} {labels}.",
            "One label belongs to one image.",
        )

    def read(positions: npt.NDArray[np.int64]) -> Iterator[Encoded]:
        for position in positions:
            yield Encoded(f"{images}[{position}]", pixels[position])

    return LabelledImages(numbers, read)


def _bytes(array: np.ndarray, where: str) -> npt.NDArray[np.uint8]:
    if array.ndim not in (3, 4) or not array.size:
        shape = " x ".join(map(str, array.shape))
        raise TwintrainError(
            f"{where} has the shape {shape}.", "Images are [n, height, width] or [n, …, channels]."
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "iuf":
        raise TwintrainError(f"{where} holds {array.dtype}.", "Pixels are bytes, 0 to 255.")
    least, most = array.min(), array.max()
    if array.dtype.kind == "f" or least < 0 or most > 255:
        scaled = "(x * 255)" if most <= 1 else "x"
        raise TwintrainError(
            f"{where} holds {array.dtype} from {least} to {most}.",
            f"Pixels are bytes, 0 to 255: {scaled}.round().astype('uint8') where that is what they "
            "mean.",
        )
    return array.astype(np.uint8)
