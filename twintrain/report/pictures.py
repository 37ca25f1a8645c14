"""Images of examples, for the page."""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np
from PIL import Image

from twintrain.data.columns import BARE
from twintrain.data.example_store import ExampleStore


def pictures_of(store: ExampleStore, names: Collection[str]) -> dict[str, bytes]:
    """PNG files of some examples, by id; none of examples that are not 8-bit images.

    Args:
        store: its inputs are images in 0..1, float32 [height, width, channels].
        names: ids of the examples.
    """
    column = store.columns.get(BARE)
    if column is None or len(column.shape) != 3 or column.shape[2] not in (1, 3, 4):
        return {}
    wanted = {name.encode() for name in names}
    rows = np.array([row for row, name in enumerate(store.ids) if bytes(name) in wanted], np.int64)
    pixels = np.rint(np.clip(column.values(rows), 0, 1) * 255).astype(np.uint8)
    return {
        bytes(name).decode(errors="replace"): _png(image)
        for name, image in zip(store.ids[rows], pixels, strict=True)
    }


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, format="PNG")
    return buffer.getvalue()
