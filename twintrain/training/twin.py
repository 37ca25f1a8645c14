"""The contract of a twin: one job in, one result out.

    result = twin_of(recipe, "loop").train(job)        # twintrain.training.registry

Whatever trains under this contract can be compared; nothing downstream knows which kind of loop it
was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.data.batches import BatchSource
from twintrain.data.example_store import ExampleStore
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import Recipe
from twintrain.training.session import Built

EpochHook = Callable[[int, dict[str, float]], None]
Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor | None], dict[str, float]]


def no_hook(epoch: int, logs: dict[str, float]) -> None:
    """For a job whose epochs nobody follows."""


@dataclass(frozen=True)
class TwinJob:
    """One training of one twin.

    Attributes:
        recipe: as this twin obeys it (`Recipe.for_twin`).
        problem: model, loss, metrics and preparation.
        train: examples to train on.
        validation: examples evaluated after each epoch.
        seed: for weights, order, augmentation and dropout.
        on_epoch: called with the epoch (from 0) and its figures.
        resume: file that holds the state after the last finished epoch; None keeps none.
        must_be_finite: a loss that is NaN or infinite ends the training, with LossNotFiniteError;
            nothing of that epoch is kept. Not where a trial or a short look may diverge.
    """

    recipe: Recipe
    problem: Problem
    train: ExampleStore
    validation: ExampleStore
    seed: int
    on_epoch: EpochHook = no_hook
    resume: Path | None = None
    must_be_finite: bool = False


@dataclass(frozen=True)
class TwinResult:
    """What one training left.

    Attributes:
        model: the trained model, holding `weights`.
        history: per figure ('loss', 'accuracy', 'val_loss', 'val_accuracy'), one number per epoch.
        weights: the weights kept (best ones where early stopping restores them), in the order of
            `model.get_weights`.
        final_weights: the weights after the last step.
        fingerprints: int64 [epochs, steps], one per batch consumed.
        epoch_seconds: wall time per epoch, validation included; the first contains graph tracing.
        best_epoch: counted from 0; the epoch `weights` come from.
        train_size: examples trained on per epoch.
    """

    seed: int
    model: keras.Model = field(repr=False)
    history: dict[str, list[float]]
    weights: list[np.ndarray] = field(repr=False)
    final_weights: list[np.ndarray] = field(repr=False)
    fingerprints: npt.NDArray[np.int64] = field(repr=False)
    epoch_seconds: list[float]
    best_epoch: int
    train_size: int

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return len(self.epoch_seconds)

    @property
    def images_per_second(self) -> float:
        """Training speed over the epochs after the first, or over the only one."""
        warm = self.epoch_seconds[1:] or self.epoch_seconds
        examples = self.train_size * len(warm)
        return examples / sum(warm)


class Twin(Protocol):
    """A way to train a model by a recipe."""

    def train(self, job: TwinJob) -> TwinResult:
        """Train from scratch, or go on from `job.resume`."""
        ...

    def stepper(self, built: Built, source: BatchSource, recipe: Recipe) -> Step:
        """A function that takes one training step on (inputs, targets, weights) and gives the
        figures of this batch alone; made inside `session`, for lockstep.

        The weights, float32 [batch], are how much each example counts; None where all count alike.

        Lockstep sees what passes `built.loss`, `built.optimizer.scale_loss` and
        `built.optimizer.apply`: the step calls all three, as Keras's own does.
        """
        ...
