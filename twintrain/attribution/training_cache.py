"""The trainings of the experiment: each done once, kept under a name that only the very same
training shares.

CACHE/<key>/predictions.npz   probabilities of every test example, with ids and labels
CACHE/<key>/training.json     what was trained, its figures and its time
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.recipe.recipe import Recipe, TwinName


class DataSource(Protocol):
    """Where examples come from: `twintrain.data.tfrecord_source.TransformedData` or
    `twintrain.data.idx_source.IdxData`.
    """

    @property
    def image_shape(self) -> tuple[int, ...]: ...  # noqa: D102 - the class says it
    @property
    def classes(self) -> int: ...  # noqa: D102
    def store(self, split: str, memory_limit_mb: int) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Training:
    """One training to do: which twin, by which recipe (as that twin obeys it), with which seed."""

    twin: TwinName
    recipe: Recipe
    seed: int

    def key(self, given: str) -> str:
        """A name made from everything that decides the result, 32 hexadecimal digits.

        Args:
            given: digests of data and code.
        """
        recipe = self.recipe.for_training().model_copy(update={"seeds": (self.seed,)})
        return hashlib.sha256(f"{self.twin} {recipe.hash} {given}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """What a training left: whether each test example is right, bool [examples], and how long it
    took.
    """

    correct: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    seconds: float


class Cache:
    """Finished trainings in a folder.

    Args:
        folder: made when missing.
        given: digests of the data and of the code that trains, taken once: code that changes
            meanwhile does not count.
    """

    def __init__(self, folder: Path, given: str) -> None:
        self.folder, self.given = folder, given

    def place(self, training: Training) -> Path:
        """The folder of a training, there or not."""
        return self.folder / training.key(self.given)

    def has(self, training: Training) -> bool:
        """Whether it has been done."""
        return (self.place(training) / "training.json").exists()

    def load(self, training: Training) -> Outcome:
        """A finished training.

        Raises:
            TwintrainError: it predicts NaN.
        """
        place = self.place(training)
        with np.load(place / "predictions.npz") as saved:
            probabilities, labels = saved["probabilities"], saved["labels"]
        if not np.isfinite(probabilities).all():
            raise TwintrainError(
                f"A training of the experiment predicts NaN (seed {training.seed}; record in "
                f"{place}).",
                "It diverged: lower optimizer.learning_rate, or clip gradients, in the recipe that "
                "asks for it.",
            )
        record = json.loads((place / "training.json").read_text(encoding="utf-8"))
        return Outcome(probabilities.argmax(axis=1) == labels, labels, float(record["seconds"]))

    @contextmanager
    def filling(self, training: Training) -> Iterator[Path]:
        """A folder to write a training's files into; it counts as done only when the block has
        ended well.
        """
        place = self.place(training)
        partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            if not place.exists():
                partial.replace(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def adopt(self, training: Training, record: Path) -> None:
        """Take over a training that the pipeline has done (a seed's folder, see
        `twintrain.training.seeds`).
        """
        if self.has(training) or not (record / "record.json").exists():
            return
        figures = json.loads((record / "record.json").read_text(encoding="utf-8"))
        with self.filling(training) as place:
            shutil.copyfile(record / "predictions.npz", place / "predictions.npz")
            write_training(place, training, figures["history"], sum(figures["epoch_seconds"]))


def write_training(
    place: Path, training: Training, history: dict[str, list[float]], seconds: float
) -> None:
    """Write training.json."""
    content = {
        "twin": training.twin,
        "seed": training.seed,
        "recipe": training.recipe.for_training().model_dump(mode="json"),
        "history": history,
        "seconds": seconds,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    (place / "training.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
