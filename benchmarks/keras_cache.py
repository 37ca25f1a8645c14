"""A cache in which `keras.datasets.mnist.load_data()` finds MNIST without a network: the bundled
files in the form of Keras's archive.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from twintrain.data import idx

ROOT = Path(__file__).resolve().parents[1]
SHIM = Path(__file__).parent / "keras_shim"
# Names of a split in the archive.
NAMES = {"train": "train", "eval": "test"}


def mnist_cache(folder: Path) -> dict[str, str]:
    """Write the archive below a folder.

    Returns:
        the environment in which Python and this library are to be started.
    """
    arrays = {}
    for split, name in NAMES.items():
        pair = idx.find_pair(ROOT / "data", split)
        labels = idx.read_labels(pair.labels)
        pixels = b"".join(idx.read_images(pair.images, 0, len(labels)))
        arrays[f"x_{name}"] = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28)
        arrays[f"y_{name}"] = np.asarray(labels, np.uint8)
    file = folder / "datasets" / "mnist.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)
    paths = os.pathsep.join([str(SHIM), str(ROOT)])
    return {**os.environ, "KERAS_HOME": str(folder), "PYTHONPATH": paths}
