"""What the training of one seed leaves, in a folder of its own.

FOLDER/record.json        figures: history, epochs, timings
FOLDER/weights.npz        weights kept and last weights
FOLDER/fingerprints.npy   int64 [epochs, steps]
FOLDER/predictions.npz    the model's output for every test example, with ids and targets
FOLDER/tensorboard/       event files

    SeedRecord.write(folder, figures, result, predictions)
    SeedRecord.read(folder).figures.history
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from twintrain.errors import TwintrainError, explained
from twintrain.processes.replacing import replace_text, replacing
from twintrain.recipe.recipe import TwinName

FIGURES, WEIGHTS, FINGERPRINTS, PREDICTIONS = (
    "record.json",
    "weights.npz",
    "fingerprints.npy",
    "predictions.npz",
)


class Figures(BaseModel):
    """The numbers of one training.

    Attributes:
        twin: which twin was trained.
        seed: of weights, order, augmentation and dropout.
        trained_on: SHA-256 of the training examples.
        history: per figure, one number per epoch.
        epochs: trained.
        best_epoch: counted from 0; the one whose weights were kept.
        epoch_seconds: wall time, validation included; the first contains graph tracing.
        images_per_second: examples per second over the epochs after the first.
        peak_memory_mb: of the training process.
        devices: kinds of devices it could see.
        at_once: whether the other twin was trained at the same time on this machine.
    """

    # A training that diverged has figures that are no numbers.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    twin: TwinName
    seed: int
    trained_on: str
    history: dict[str, list[float]]
    epochs: int
    best_epoch: int
    epoch_seconds: list[float]
    images_per_second: float
    peak_memory_mb: float
    devices: list[str]
    at_once: bool = False


@dataclass(frozen=True)
class Predictions:
    """What a trained model gives for the test examples, in canonical order.

    Attributes:
        ids: bytes [n].
        targets: [n, *target shape].
        outputs: float32 [n, *output shape].
    """

    ids: npt.NDArray[np.bytes_]
    targets: np.ndarray
    outputs: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Arrays:
    """What a training leaves beside its figures.

    Attributes:
        weights: those kept, in the order of `model.get_weights`.
        final_weights: those after the last step.
        fingerprints: int64 [epochs, steps], one per batch consumed.
    """

    weights: Sequence[np.ndarray]
    final_weights: Sequence[np.ndarray]
    fingerprints: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SeedRecord:
    """A record on disk: its figures, and its arrays when they are asked for."""

    folder: Path
    figures: Figures

    @classmethod
    def write(
        cls, folder: Path, figures: Figures, arrays: Arrays, predictions: Predictions
    ) -> SeedRecord:
        """Write all files into a folder that is there; the figures last, so that a folder that has
        them has everything.
        """
        with replacing(folder / PREDICTIONS) as partial, partial.open("wb") as file:
            np.savez(
                file,
                ids=predictions.ids,
                labels=predictions.targets,
                probabilities=predictions.outputs,
            )
        with replacing(folder / FINGERPRINTS) as partial, partial.open("wb") as file:
            np.save(file, arrays.fingerprints)
        named: dict[str, Any] = {f"kept_{i:04d}": w for i, w in enumerate(arrays.weights)}
        named |= {f"final_{i:04d}": w for i, w in enumerate(arrays.final_weights)}
        with replacing(folder / WEIGHTS) as partial, partial.open("wb") as file:
            np.savez(file, **named)
        replace_text(folder / FIGURES, figures.model_dump_json(indent=1))
        return cls(folder, figures)

    @classmethod
    def read(cls, folder: Path) -> SeedRecord:
        """The record in a folder.

        Raises:
            TwintrainError: there is none, or its figures cannot be read.
        """
        path = folder / FIGURES
        try:
            return cls(folder, Figures.model_validate_json(path.read_bytes()))
        except OSError as error:
            problem = f"There is no record of a training in {folder}: {error.strerror}."
            raise TwintrainError(problem, "Train that seed again.") from error
        except ValidationError as error:
            raise TwintrainError(
                explained(error, Figures, str(path)), "Train that seed again."
            ) from None

    @staticmethod
    def place(folder: Path, seed: int) -> Path:
        """Where a seed's record lies below the folder of all."""
        return folder / f"seed-{seed}"

    @property
    def fingerprints(self) -> npt.NDArray[np.int64]:
        """One per batch consumed, int64 [epochs, steps]."""
        found: npt.NDArray[np.int64] = np.load(self.folder / FINGERPRINTS)
        return found

    @property
    def weights(self) -> list[np.ndarray]:
        """Those kept, in the order of `model.get_weights`."""
        with np.load(self.folder / WEIGHTS) as saved:
            return [saved[name] for name in sorted(saved.files) if name.startswith("kept_")]

    @property
    def predictions(self) -> Predictions:
        """What the trained model gives for the test examples.

        Raises:
            TwintrainError: the training left none.
        """
        path = self.folder / PREDICTIONS
        try:
            with np.load(path) as saved:
                return Predictions(saved["ids"], saved["labels"], saved["probabilities"])
        except FileNotFoundError:
            raise TwintrainError(
                f"The {self.figures.twin} twin left no predictions for seed {self.figures.seed} "
                f"({path} is missing).",
                "Train that seed again.",
            ) from None


def records_below(folder: Path) -> list[SeedRecord]:
    """Every record below the folder of a twin, by seed."""
    found = [SeedRecord.read(path.parent) for path in folder.glob(f"seed-*/{FIGURES}")]
    return sorted(found, key=lambda record: record.figures.seed)


def weights_digest(weights: Sequence[np.ndarray]) -> str:
    """SHA-256 over weights in their order, shapes and dtypes included; 64 hexadecimal digits."""
    sha = hashlib.sha256()
    for weight in weights:
        sha.update(f"{weight.dtype.name} {weight.shape}\n".encode())
        sha.update(weight.tobytes())
    return sha.hexdigest()
