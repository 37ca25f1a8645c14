"""The trainings of the experiment: each done once, kept under a name that only the very same
training shares.

CACHE/<key>/               its record (`twintrain.training.seed_record`)
CACHE/<key>/training.json  what was trained, for whoever looks
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

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.problems.problem import Problem
from twintrain.processes.replacing import put_in_place, replace_text
from twintrain.recipe.recipe import Recipe, TwinName
from twintrain.training.seed_record import FIGURES, PREDICTIONS, SeedRecord

_ABOUT = "training.json"


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
    """What a training left.

    Attributes:
        scores: of each test example, float64 [examples]: what it adds to the primary metric.
        seconds: how long it took.
    """

    scores: npt.NDArray[np.float64]
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
        return (self.place(training) / FIGURES).exists()

    def outcome(self, training: Training, problem: Problem) -> Outcome:
        """Of a finished training, judged by the problem.

        Raises:
            TwintrainError: it predicts NaN.
        """
        record = SeedRecord.read(self.place(training))
        predictions = record.predictions
        if not np.isfinite(predictions.outputs).all():
            raise TwintrainError(
                f"A training of the experiment predicts NaN (seed {training.seed}; record in "
                f"{record.folder}).",
                "It diverged: lower optimizer.learning_rate, or clip gradients, in the recipe that "
                "asks for it.",
            )
        scores = problem.task.scores(predictions.targets, predictions.outputs)
        return Outcome(scores, sum(record.figures.epoch_seconds))

    @contextmanager
    def filling(self, training: Training) -> Iterator[Path]:
        """A folder to write a training's record into; it counts as done only when the block has
        ended well.
        """
        place = self.place(training)
        partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            _write_about(partial, training)
            if not place.exists():
                put_in_place(partial, place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def adopt(self, training: Training, record: Path) -> None:
        """Take over a training that the pipeline has done (a seed's record)."""
        if self.has(training) or not (record / FIGURES).exists():
            return
        with self.filling(training) as place:
            for name in (PREDICTIONS, FIGURES):
                shutil.copyfile(record / name, place / name)


def _write_about(place: Path, training: Training) -> None:
    content = {
        "twin": training.twin,
        "seed": training.seed,
        "recipe": training.recipe.for_training().model_dump(mode="json"),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    replace_text(place / _ABOUT, json.dumps(content, indent=1))
