"""Small pictures to take in, and the way back: what lies in a data directory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from twintrain.data import idx

Split = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def pictures(count: int, *sizes: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *sizes), np.uint8)


def as_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_png(pixels))


def split_of(folder: Path, split: str) -> Split:
    """Images [n, height, width, channels] and labels [n] of a split in a data directory."""
    pair = idx.find_pair(folder, split)
    summary = idx.inspect_pair(pair)
    pixels = np.frombuffer(b"".join(idx.read_images(pair.images, 0, summary.count)), np.uint8)
    return pixels.reshape(summary.count, *summary.shape), idx.read_labels(pair.labels).astype(
        np.int64
    )


def put_folder(
    folder: Path, labels: dict[str, int], *sizes: int, seed: int = 0
) -> dict[str, set[bytes]]:
    """A directory per label with so many images each; per label the pixels of its images."""
    put_there: dict[str, set[bytes]] = {}
    for number, (label, count) in enumerate(labels.items()):
        made = pictures(count, *sizes, seed=1000 * seed + number)
        for position, pixels in enumerate(made):
            put(folder / label / f"{position:03d}.png", pixels)
        put_there[label] = {pixels.tobytes() for pixels in made}
    return put_there
