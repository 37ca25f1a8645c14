"""What every source of images is turned into before it is written: splits of labelled images that
can be read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twintrain.data.stratified import stratified_share
from twintrain.errors import TwintrainError, shortened

TRAIN, TEST = "train", "eval"
SPOKEN = {TRAIN: "training", TEST: "test"}
# How people call the splits; the first of them that is there is taken.
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "t10k", "eval", "val", "validation", "valid")
MOST_LABELS = 256  # a label is one byte


@dataclass(frozen=True)
class Encoded:
    """An image as it was found.

    Attributes:
        where: what to call it in a message.
        content: of an image file, or the pixels themselves, [height, width] or [height, width,
            channels].
        fault: why its content could not be had; empty where it could.
    """

    where: str
    content: bytes | npt.NDArray[np.uint8]
    fault: str = ""


@dataclass(frozen=True)
class LabelledImages:
    """The labelled images of one split.

    Attributes:
        labels: int64 [n].
        read: gives the images at some positions, which must be rising, one at a time.
    """

    labels: npt.NDArray[np.int64]
    read: Callable[[npt.NDArray[np.int64]], Iterator[Encoded]]

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, positions: npt.NDArray[np.int64]) -> LabelledImages:
        """Those at rising `positions`."""
        return LabelledImages(self.labels[positions], lambda chosen: self.read(positions[chosen]))


@dataclass(frozen=True)
class Source:
    """Images of one origin.

    Attributes:
        splits: 'train', and 'eval' where the origin has a split to test on.
        label_names: what labels 0, 1, 2 … are called; empty where they are only numbered.
        notes: a sentence for everything that was left aside.
    """

    splits: dict[str, LabelledImages]
    label_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def with_test(self, share: float, seed: int) -> Source:
        """The same with a split to test on: its own, or a stratified share of those to train on."""
        if TEST in self.splits:
            return self
        whole = self.splits[TRAIN]
        held = stratified_share(whole.labels, share, seed)
        parts = {TRAIN: whole.part(np.nonzero(~held)[0]), TEST: whole.part(np.nonzero(held)[0])}
        note = (
            f"There is no split to test on: {share:.0%} of each label were held out (--hold-out, "
            "--seed)."
        )
        return replace(self, splits=parts, notes=(*self.notes, note))


def checked_labels(labels: npt.ArrayLike, where: str) -> npt.NDArray[np.int64]:
    """Labels as int64 [n], from [n] or [n, 1].

    Raises:
        TwintrainError: they are no whole numbers from 0 to 255.
    """
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array):
        shape = " x ".join(map(str, array.shape))
        raise TwintrainError(
            f"{where} has the shape {shape}.", "Labels are one number per image (np.argmax?)."
        )
    if array.dtype.kind not in "iu":  # to NumPy, a span of time is an integer too
        raise TwintrainError(
            f"{where} holds {array.dtype}.", "Labels are whole numbers, counted from 0."
        )
    if array.min() < 0 or array.max() >= MOST_LABELS:
        raise TwintrainError(
            f"{where} holds labels from {array.min()} to {array.max()}.",
            f"Number them 0 to {MOST_LABELS - 1} at most.",
        )
    return array.astype(np.int64)


def listed(words: list[str], most: int = 5) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(shortened(word, 200) for word in words[:most]) + more
