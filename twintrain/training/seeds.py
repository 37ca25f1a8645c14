"""All seeds of one twin, or a share of them: trained one after the other, each leaving its record
in a folder of its own.

FOLDER/seed-0/record.json        history, epochs, timings
FOLDER/seed-0/weights.npz        weights kept and last weights
FOLDER/seed-0/fingerprints.npy   int64 [epochs, steps]
FOLDER/seed-0/predictions.npz    probabilities of every test example, with ids and labels
FOLDER/seed-0/tensorboard/       event files
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.data.batches import evaluation_dataset
from twintrain.data.example_store import ExampleStore
from twintrain.data.tfrecord_source import TransformedData, hold_out
from twintrain.problems.problem import Problem, find_problem
from twintrain.processes.progress import tell
from twintrain.recipe.recipe import Recipe, TwinName
from twintrain.training.registry import twin_named
from twintrain.training.session import build, session
from twintrain.training.twin import EpochHook, TwinJob, TwinResult


@dataclass(frozen=True)
class SeedsJob:
    """What to train.

    Attributes:
        twin: 'fit' or 'loop'.
        recipe: as this twin obeys it.
        data: the transformed examples.
        folder: where each seed's record goes.
        state: folder for the state of unfinished trainings; None keeps none.
        share: the recipe's seeds this process trains; None for all.
    """

    twin: TwinName
    recipe: Recipe
    data: TransformedData
    folder: Path
    state: Path | None = None
    share: tuple[int, ...] | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """What to train, in order."""
        return self.recipe.seeds if self.share is None else self.share


def train_seeds(job: SeedsJob) -> keras.Model:
    """Train every seed and write its record.

    Returns:
        the model of the first seed, which stands for the twin where only one model can: chosen in
        advance, not by score.
    """
    recipe = job.recipe
    train = job.data.store("train", recipe.data.memory_limit_mb)
    test = job.data.store("eval", recipe.data.memory_limit_mb)
    validation = test
    if recipe.data.validation_fraction:
        train, validation = hold_out(
            train, recipe.data.validation_fraction, recipe.data.validation_seed
        )
    problem = find_problem(recipe, job.data.image_shape, job.data.classes)
    digest = train.digest
    first: keras.Model | None = None
    for seed in job.seeds:
        folder = job.folder / f"seed-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        state = job.state and job.state / _state_name(job, digest, seed)
        hook = _hook(job, seed, folder)
        result = twin_named(job.twin).train(
            TwinJob(recipe, problem, train, validation, seed, hook, state)
        )
        model = _on_one_machine(result, recipe, problem)
        probabilities = predict(model, test, recipe)
        write_record(folder, result, test, probabilities, digest)
        first = first or model
    assert first is not None  # a recipe has at least one seed
    return first


def _on_one_machine(result: TwinResult, recipe: Recipe, problem: Problem) -> keras.Model:
    """The trained model, free of the other machines: reading a variable they share would wait for
    all of them.
    """
    if recipe.execution.strategy != "multi_worker":
        return result.model
    with session(recipe, result.seed):
        model = build(recipe, problem, steps_per_epoch=1).model
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
        (job.state / _state_name(job, read_record(job.folder, seed)["trained_on"], seed)).unlink(
            missing_ok=True
        )


def read_record(folder: Path, seed: int) -> dict[str, Any]:
    """What `write_record` left of a seed below the folder of all."""
    record: dict[str, Any] = json.loads(
        (folder / f"seed-{seed}" / "record.json").read_text(encoding="utf-8")
    )
    return record


def weights_digest(weights: Sequence[np.ndarray]) -> str:
    """SHA-256 over weights in their order, shapes and dtypes included."""
    sha = hashlib.sha256()
    for weight in weights:
        sha.update(f"{weight.dtype.name} {weight.shape}\n".encode())
        sha.update(weight.tobytes())
    return sha.hexdigest()


def predict(model: keras.Model, store: ExampleStore, recipe: Recipe) -> npt.NDArray[np.float32]:
    """Probabilities for every example of a store, float32 [n, classes], in canonical order."""
    run = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    return np.concatenate([run(images).numpy() for images, _ in evaluation_dataset(store, recipe)])


def write_record(
    folder: Path,
    result: TwinResult,
    test: ExampleStore,
    probabilities: npt.NDArray[np.float32],
    trained_on: str,
) -> None:
    """Write one seed's record; see the module's text for the files.

    Args:
        folder: of this seed.
        result: what the training left.
        test: the test examples.
        probabilities: of each of them, [examples, classes].
        trained_on: digest of the training examples.
    """
    np.savez(
        folder / "predictions.npz", ids=test.ids, labels=test.labels, probabilities=probabilities
    )
    np.save(folder / "fingerprints.npy", result.fingerprints)
    kept: dict[str, Any] = {f"kept_{i:04d}": weight for i, weight in enumerate(result.weights)}
    final: dict[str, Any] = {
        f"final_{i:04d}": weight for i, weight in enumerate(result.final_weights)
    }
    np.savez(folder / "weights.npz", **kept, **final)
    record = {
        "twin": result.twin,
        "seed": result.seed,
        "trained_on": trained_on,
        "history": result.history,
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "epoch_seconds": result.epoch_seconds,
        "images_per_second": result.images_per_second,
        "peak_memory_mb": _peak_memory_mb(),
        "devices": [device.device_type for device in tf.config.list_logical_devices()],
    }
    (folder / "record.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def _peak_memory_mb() -> float:
    """Largest resident size of this process so far; 0 where the system does not say."""
    # Not getrusage: its figure survives exec, and a spawned process would report its parent's.
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _hook(job: SeedsJob, seed: int, folder: Path) -> EpochHook:
    writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
    epochs = job.recipe.training.epochs
    seeds = job.seeds

    def hook(epoch: int, logs: dict[str, float]) -> None:
        with writer.as_default(step=epoch):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
        writer.flush()
        done = seeds.index(seed) * epochs + epoch + 1
        text = f"seed {seed}, epoch {epoch + 1}/{epochs}, validation accuracy {logs['val_accuracy']:.4f}"
        tell(
            "progress", node=f"Trainer-{job.twin}", done=done, total=epochs * len(seeds), text=text
        )

    return hook


def _state_name(job: SeedsJob, digest: str, seed: int) -> str:
    """A name that only the very same training shares."""
    key = hashlib.sha256(f"{job.recipe.hash} {digest} {job.twin}".encode()).hexdigest()[:16]
    return f"{job.twin}-{key}-seed{seed}.npz"
