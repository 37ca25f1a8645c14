"""All seeds of one twin, or a share of them: trained one after the other, each leaving its record
(`seed_record.py`) in a folder of its own, FOLDER/seed-0, FOLDER/seed-1 …
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.data.batches import evaluation_dataset
from twintrain.data.example_store import ExampleStore
from twintrain.data.source import DataSource
from twintrain.data.tfrecord_source import hold_out
from twintrain.problems.problem import Problem
from twintrain.processes.progress import report_progress
from twintrain.recipe.recipe import Recipe, TwinName
from twintrain.training import resume
from twintrain.training.blow_up import located
from twintrain.training.loss_not_finite import LossNotFiniteError
from twintrain.training.registry import twin_of
from twintrain.training.seed_record import Arrays, Figures, Predictions, SeedRecord
from twintrain.training.session import session
from twintrain.training.twin import EpochHook, TwinJob, TwinResult

Report = Callable[[int, int, str], None]  # epochs done, of how many, and a text for a person


@dataclass(frozen=True)
class Splits:
    """The examples of a comparison, each split in canonical order.

    Attributes:
        train: trained on.
        validation: evaluated after each epoch; the test split where nothing is held out.
        test: what the twins are compared on.
        trained_on: SHA-256 of `train`.
    """

    train: ExampleStore
    validation: ExampleStore
    test: ExampleStore
    trained_on: str

    @classmethod
    def of(cls, recipe: Recipe, train: ExampleStore, test: ExampleStore) -> Splits:
        """With as much of the training split held out for validation as the recipe says."""
        validation, share = test, recipe.data.validation_fraction
        if share:
            train, validation = hold_out(train, share, recipe.data.validation_seed)
        return cls(train, validation, test, train.digest)

    @classmethod
    def read(cls, recipe: Recipe, data: DataSource) -> Splits:
        """Both splits of a source."""
        limit = recipe.data.memory_limit_mb
        return cls.of(recipe, data.store("train", limit), data.store("eval", limit))


@dataclass(frozen=True)
class SeedsJob:
    """What to train.

    Attributes:
        twin: 'fit' or 'loop'.
        recipe: as this twin obeys it.
        folder: where each seed's record goes.
        state: folder for the state of unfinished trainings; None keeps none.
        share: the recipe's seeds this process trains; None for all.
        at_once: whether the other twin is trained at the same time on this machine.
    """

    twin: TwinName
    recipe: Recipe
    folder: Path
    state: Path | None = None
    share: tuple[int, ...] | None = None
    at_once: bool = False

    @property
    def seeds(self) -> tuple[int, ...]:
        """What to train, in order."""
        return self.recipe.seeds if self.share is None else self.share


def train_seeds(
    job: SeedsJob, problem: Problem, splits: Splits, report: Report | None = None
) -> keras.Model:
    """Train every seed and write its record.

    Args:
        job: which twin, and where its records go.
        problem: what is learned.
        splits: the examples.
        report: called after every epoch; None tells whoever shows the pipeline's progress.

    Returns:
        the model of the first seed, which stands for the twin where only one model can: chosen in
        advance, not by score.
    """
    first: keras.Model | None = None
    for seed in job.seeds:
        folder = SeedRecord.place(job.folder, seed)
        folder.mkdir(parents=True, exist_ok=True)
        state = job.state and job.state / _state_name(job, splits.trained_on, seed)
        shown = _Shown(problem.task.metric.logged, report or _node_progress(job.twin))
        hook = _hook(job, seed, folder, shown)
        training = TwinJob(job.recipe, problem, splits.train, splits.validation, seed, hook, state)
        model = train_seed(job.twin, training, splits, folder, job.at_once)
        first = first or model
    assert first is not None  # a recipe has at least one seed
    return first


def train_seed(
    twin: TwinName, training: TwinJob, splits: Splits, folder: Path, at_once: bool = False
) -> keras.Model:
    """Do one training and write its record.

    Args:
        twin: 'fit' or 'loop'.
        training: of this twin, with one seed.
        splits: the examples it is about.
        folder: of the record; it must be there.
        at_once: whether the other twin is trained at the same time on this machine.

    Returns:
        the trained model.

    Raises:
        LossNotFiniteError: the loss became NaN or infinite; it says where.
    """
    try:
        result = twin_of(training.recipe, twin).train(replace(training, must_be_finite=True))
    except LossNotFiniteError as error:
        raise located(error, twin, training) from None
    model = _on_one_machine(result, training)
    outputs = predict(model, splits.test, training.recipe, training.problem)
    SeedRecord.write(
        folder,
        _figures(twin, result, splits.trained_on, at_once),
        Arrays(result.weights, result.final_weights, result.fingerprints),
        Predictions(splits.test.ids, splits.test.targets, outputs),
    )
    return model


def _figures(twin: TwinName, result: TwinResult, trained_on: str, at_once: bool) -> Figures:
    return Figures(
        twin=twin,
        seed=result.seed,
        trained_on=trained_on,
        history=result.history,
        epochs=result.epochs,
        best_epoch=result.best_epoch,
        epoch_seconds=result.epoch_seconds,
        images_per_second=result.images_per_second,
        peak_memory_mb=_peak_memory_mb(),
        devices=[device.device_type for device in tf.config.list_logical_devices()],
        at_once=at_once,
    )


def _on_one_machine(result: TwinResult, training: TwinJob) -> keras.Model:
    """The trained model, free of the other machines: reading a variable they share would wait for
    all of them.
    """
    if training.recipe.execution.strategy != "multi_worker":
        return result.model
    with session(training.recipe, result.seed):
        model = training.problem.build_model(training.recipe)
    model.set_weights(result.weights)
    return model


def forget_state(job: SeedsJob) -> None:
    """Remove the state of this job's trainings, which have ended; to be called when their results
    are safe.

    Others may be under way in the same folder, or be interrupted and go on later: theirs is left
    alone.
    """
    if job.state is None:
        return
    for seed in job.recipe.seeds:
        figures = SeedRecord.read(SeedRecord.place(job.folder, seed)).figures
        resume.forget(job.state / _state_name(job, figures.trained_on, seed))


def predict(
    model: keras.Model, store: ExampleStore, recipe: Recipe, problem: Problem
) -> npt.NDArray[np.float32]:
    """Outputs for every example of a store, float32 [n, *output shape], in canonical order."""
    run = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    batches = evaluation_dataset(store, recipe, problem.preparation(recipe))
    return np.concatenate([run(inputs).numpy() for inputs, _ in batches])


def _peak_memory_mb() -> float:
    """Largest resident size of this process so far; 0 where the system does not say."""
    # Not getrusage: its figure survives exec, and a spawned process would report its parent's.
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


@dataclass(frozen=True)
class _Shown:
    """Which figure of an epoch is told, and to whom."""

    metric: str
    report: Report


def _hook(job: SeedsJob, seed: int, folder: Path, shown: _Shown) -> EpochHook:
    writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
    epochs, seeds = job.recipe.training.epochs, job.seeds

    def hook(epoch: int, logs: dict[str, float]) -> None:
        with writer.as_default(step=epoch):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
        writer.flush()
        done = seeds.index(seed) * epochs + epoch + 1
        text = f"seed {seed}, {epoch_text(epoch, epochs, logs, shown.metric)}"
        shown.report(done, epochs * len(seeds), text)

    return hook


def epoch_text(epoch: int, epochs: int, logs: dict[str, float], metric: str) -> str:
    """An epoch (from 0) for a person: 'epoch 1/3, validation accuracy 0.9728'."""
    name = f"val_{metric}" if f"val_{metric}" in logs else "loss"
    if name not in logs:
        return f"epoch {epoch + 1}/{epochs}"
    spoken = name.replace("val_", "validation ", 1)
    return f"epoch {epoch + 1}/{epochs}, {spoken} {logs[name]:.4f}"


def _node_progress(twin: TwinName) -> Report:
    def report(done: int, total: int, text: str) -> None:
        report_progress("progress", node=f"Trainer-{twin}", done=done, total=total, text=text)

    return report


def _state_name(job: SeedsJob, trained_on: str, seed: int) -> str:
    """A name that only the very same training shares."""
    key = hashlib.sha256(f"{job.recipe.hash} {trained_on} {job.twin}".encode()).hexdigest()[:16]
    return f"{job.twin}-{key}-seed{seed}.npz"
