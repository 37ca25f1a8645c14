"""IDX files read straight into stores, holding what the pipeline's ingestion and preprocessing
would make of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twintrain.data import idx
from twintrain.data.example_spec import ExampleSpec, labelled_images
from twintrain.data.example_store import Chunk, ExampleStore, build_store
from twintrain.data.spans import choose_span, span_folder
from twintrain.data.stratified import stratified_sample

_CHUNK_BYTES = 16 << 20  # of pixels, read and scaled in one piece


@dataclass(frozen=True)
class IdxData:
    """A directory of IDX pairs.

    Attributes:
        folder: holds the four files.
        limit: keep a stratified sample of this many examples over all splits.
    """

    folder: Path
    limit: int | None = None

    @property
    def spec(self) -> ExampleSpec:
        """Shape of an image and number of labels; reads the training images once and says what is
        wrong with them.
        """
        shape = idx.inspect_pair(idx.find_pair(self.folder, "train")).shape
        labels = (
            idx.read_labels(idx.find_pair(self.folder, split).labels)
            for split in idx.SPLIT_PREFIXES
        )
        return labelled_images(shape, 1 + max(int(found.max()) for found in labels))

    def store(self, split: str, memory_limit_mb: int) -> ExampleStore:
        """All examples of a split ('train', 'eval'), in canonical order."""
        return build_store(self._chunks(split), memory_limit_mb << 20)

    def _chunks(self, split: str) -> Iterator[Chunk]:
        pairs = {name: idx.find_pair(self.folder, name) for name in idx.SPLIT_PREFIXES}
        labels = {
            name: idx.read_labels(pair.labels).astype(np.int64) for name, pair in pairs.items()
        }
        keep = idx.split_limits(self.limit, {name: len(values) for name, values in labels.items()})[
            split
        ]
        wanted = np.zeros(len(labels[split]), bool)
        wanted[stratified_sample(labels[split], keep)] = True
        shape = idx.inspect_pair(pairs[split]).shape
        step = max(1, _CHUNK_BYTES // math.prod(shape))
        for start in range(0, len(wanted), step):
            images = b"".join(
                idx.read_images(pairs[split].images, start, min(start + step, len(wanted)))
            )
            pixels = np.frombuffer(images, np.uint8).reshape(-1, *shape)
            chosen = np.nonzero(wanted[start : start + step])[0]
            ids = np.array([f"{split}-{start + position:08d}" for position in chosen], np.bytes_)
            if len(chosen):
                values = pixels[chosen].astype(np.float32) * idx.UNIT
                yield values, labels[split][start + chosen], ids


def find_folder(data: Path, span: int | None) -> Path:
    """The directory that holds the files: `data` itself or one of its `span-N` (`choose_span`)."""
    return span_folder(data, choose_span(data, span)[0])
