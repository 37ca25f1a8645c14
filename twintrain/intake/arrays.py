"""NumPy archives: `x_train`, `y_train`, `x_test`, `y_test` as Keras's own, or `train_images` … as MedMNIST's."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.intake.source import TEST, TRAIN, Encoded, Pictures, Source, checked_labels

# Names of images and labels, per split.
NAMES = {
    TRAIN: (("x_train", "y_train"), ("train_images", "train_labels"), ("x", "y"), ("images", "labels")),
    TEST: (("x_test", "y_test"), ("test_images", "test_labels"), ("x_val", "y_val"), ("val_images", "val_labels")),
}
_REMEDY = "np.savez('data.npz', x_train=…, y_train=…, x_test=…, y_test=…) makes one."


def read_arrays(path: Path) -> Source:
    """The images of a .npz file, in their order there.

    Raises:
        TwintrainError: it is no such file, lacks the arrays, or they are no bytes of images and their labels.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            known = {split: _present(archive.files, names) for split, names in NAMES.items()}
            if known[TRAIN] is None:
                has = ", ".join(archive.files) or "nothing"
                raise TwintrainError(f"{path} holds {has}; neither x_train and y_train nor x and y.", _REMEDY)
            splits = {split: _pictures(archive, *pair, path) for split, pair in known.items() if pair}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise TwintrainError(f"{path} cannot be read as a NumPy archive: {error}.", _REMEDY) from error
    used = {name for pair in known.values() if pair for name in pair}
    left = sorted(set(archive.files) - used)
    return Source(splits, notes=(f"{path.name}: {', '.join(left)} were not used.",) if left else ())


def _present(files: list[str], names: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    return next((pair for pair in names if set(pair) <= set(files)), None)


def _pictures(archive: np.lib.npyio.NpzFile, images: str, labels: str, path: Path) -> Pictures:
    pixels = _bytes(archive[images], f"{images} in {path}")
    numbers = checked_labels(archive[labels], f"{labels} in {path}")
    if len(pixels) != len(numbers):
        raise TwintrainError(
            f"{path} holds {len(pixels):,} {images} and {len(numbers):,} {labels}.", "One label belongs to one image."
        )

    def read(positions: npt.NDArray[np.int64]) -> Iterator[Encoded]:
        for position in positions:
            yield Encoded(f"{images}[{position}]", pixels[position])

    return Pictures(numbers, read)


def _bytes(array: np.ndarray, where: str) -> npt.NDArray[np.uint8]:
    if array.ndim not in (3, 4) or not array.size:
        shape = " x ".join(map(str, array.shape))
        raise TwintrainError(f"{where} has the shape {shape}.", "Images are [n, height, width] or [n, …, channels].")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.integer) or array.min() < 0 or array.max() > 255:
        raise TwintrainError(
            f"{where} holds {array.dtype} from {array.min()} to {array.max()}.",
            "Pixels are bytes, 0 to 255: (x * 255).round().astype('uint8') for images from 0 to 1.",
        )
    return array.astype(np.uint8)
