"""Images with one class each: cross-entropy on class probabilities, judged by accuracy."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.data.augmentation import ImageAugmentation
from twintrain.data.batches import Preparation, unchanged
from twintrain.data.columns import BARE
from twintrain.data.example_spec import ExampleSpec
from twintrain.data.example_store import ExampleStore
from twintrain.problems.problem import Problem
from twintrain.problems.statement import IMAGES
from twintrain.recipe.recipe import Recipe

BuildModel = Callable[[Recipe, tuple[int, ...], int], keras.Model]
INK = ("light", "medium", "heavy")


def raw(images: tf.Tensor) -> tf.Tensor:
    """Pixels from 0..1 to 0..255."""
    return images * 255.0


def centred(images: tf.Tensor) -> tf.Tensor:
    """Pixels from 0..1 to -1..1."""
    return images * 2.0 - 1.0


# By `training.input_scale`; what serving has to do too.
SCALES: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "unit": unchanged,
    "raw": raw,
    "centred": centred,
}


class ImageClassification(Problem):
    """Classify images, float32 [height, width, channels] in 0..1.

    Args:
        spec: its inputs are the images, its target an int64 class.
        build: of (recipe, input_shape, classes), makes a model ending in class probabilities.
    """

    def __init__(self, spec: ExampleSpec, build: BuildModel) -> None:
        super().__init__(IMAGES, spec)
        self._build = build

    @property
    def classes(self) -> int:
        """Number of labels, which are 0 to classes - 1."""
        assert self.spec.classes is not None
        return self.spec.classes

    def build_model(self, recipe: Recipe) -> keras.Model:
        """See `Problem.build_model`."""
        return self._build(recipe, self.spec.only.shape, self.classes)

    def preparation(self, recipe: Recipe) -> Preparation:
        """Rescaled as `training.input_scale` says, augmented as `augmentation` says."""
        rules = recipe.augmentation
        height, width = self.spec.only.shape[:2]
        augmentation = ImageAugmentation(rules, (height, width), recipe.execution.deterministic)
        return Preparation(
            SCALES[recipe.training.input_scale], augmentation if rules.active else None
        )

    def slice_values(
        self, train: ExampleStore, test: ExampleStore
    ) -> dict[str, npt.NDArray[np.int64]]:
        """Label, and how much ink an image carries: by thirds of the training images."""
        # Interpolated like this, the boundaries are those of Transform's `bucketize`.
        amounts = np.sort(_ink(train))
        places = [len(amounts) * third // len(INK) for third in range(1, len(INK))]
        boundaries = amounts[np.minimum(places, len(amounts) - 1)]
        return {
            "label": test.targets.astype(np.int64),
            "ink": np.searchsorted(boundaries, _ink(test), side="right").astype(np.int64),
        }

    def slice_value_name(self, recipe: Recipe, key: str, value: int) -> str:
        """A label's name or number, an ink bucket's name."""
        if key == "ink":
            return INK[value]
        names = recipe.comparison.label_names
        return names[value] if value < len(names) else str(value)


def _ink(store: ExampleStore) -> npt.NDArray[np.int64]:
    """Sum of the 8-bit pixels of every image, int64 [n]."""
    found = np.empty(len(store), np.int64)
    for start in range(0, len(store), 1024):
        rows = np.arange(start, min(start + 1024, len(store)))
        pixels = np.rint(store.columns[BARE].values(rows).astype(np.float64) * 255)
        found[rows] = pixels.reshape(len(rows), -1).sum(axis=1).astype(np.int64)
    return found
