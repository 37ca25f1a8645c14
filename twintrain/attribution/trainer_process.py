"""What happens in the process that trains: the data is read once, trainings are done one after the
other.

The process owns the GPU; the one that plans and computes does not import TensorFlow.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from twintrain.attribution.training_cache import Cache, DataSource, Training, write_training
from twintrain.errors import TwintrainError
from twintrain.processes.isolated import end_with_parent, gpus_as_before
from twintrain.processes.progress import VARIABLE, last_text
from twintrain.recipe.recipe import Recipe

Answer = TypeVar("Answer")
SAMPLE = 330  # examples of the trainings that check which practices change bits: ten batches of 32 and a partial one
_PROBE = 4096


@dataclass(frozen=True)
class Prepared:
    """What is known before the experiment.

    Attributes:
        data_digest: of both splits.
        test_examples: how many there are.
        seconds: per recipe asked about, the time one training will take, about.
        framework: largest difference of any weight between the fit and the loop twin under the
            first recipe.
        moved: per recipe asked about, the same between it and its background.
    """

    data_digest: str
    test_examples: int
    seconds: list[float]
    framework: float
    moved: list[float]


class TrainerProcess:
    """A process that trains; use it as a context manager.

    Args:
        data: the examples.
        log: file for what TensorFlow has to say.
        progress: called about twice a second with what the process is at.
    """

    def __init__(self, data: DataSource, log: Path, progress: Callable[[str], None]) -> None:
        self._progress, self._log = progress, log
        log.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="twintrain-progress-")
        os.close(handle)
        self._file = Path(name)
        with gpus_as_before():
            self._pool = ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(data, name, log),
            )

    def __enter__(self) -> TrainerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            for process in list(
                (self._pool._processes or {}).values()
            ):  # no other way to stop a running call
                process.terminate()
        self._pool.shutdown(cancel_futures=True)
        self._file.unlink(missing_ok=True)

    def call(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Run a function of this module in the process.

        Raises:
            TwintrainError: the process was killed.
        """
        with gpus_as_before():
            future = self._pool.submit(function, *arguments)
        while True:
            try:
                return future.result(timeout=0.5)
            except NotYet:
                self._progress(last_text(self._file))
            except BrokenProcessPool as error:
                raise TwintrainError(
                    "The training process was killed.",
                    "Most often memory ran out. Finished trainings are kept; the same command goes "
                    "on from there. "
                    f"What TensorFlow said last is in {self._log}.",
                ) from error


_here: dict[str, Any] = {}


def _begin(data: DataSource, progress_file: str, log: Path) -> None:
    os.environ[VARIABLE] = progress_file
    end_with_parent()
    # TensorFlow's native code writes to the descriptor, past Python.
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    _here["data"] = data


def _store(split: str, recipe: Recipe) -> Any:
    if split not in _here:
        _here[split] = _here["data"].store(split, recipe.data.memory_limit_mb)
    return _here[split]


def _train(
    twin: Any, recipe: Recipe, train: Any, validation: Any, seed: int, hook: Any, state: Path | None
) -> Any:
    from twintrain.problems.problem import find_problem
    from twintrain.training.registry import twin_named
    from twintrain.training.twin import TwinJob

    data = _here["data"]
    if "problem" not in _here:
        _here["problem"] = (data.image_shape, data.classes)
    problem = find_problem(recipe, *_here["problem"])
    return twin_named(twin).train(TwinJob(recipe, problem, train, validation, seed, hook, state))


def prepare(
    start: Recipe, toggled: list[tuple[Recipe, Recipe]], timed: list[Recipe], seed: int
) -> Prepared:
    """Check on a small sample what changes bits, and time a few epochs.

    Args:
        start: the first recipe.
        toggled: (background, the same with one practice switched).
        timed: recipes to estimate the time of one training for.
        seed: of the small trainings.
    """
    from twintrain.training.twin import no_hook

    train, test = _store("train", start), _store("eval", start)
    small = train.subset(_first(train, SAMPLE)), test.subset(_first(test, SAMPLE))

    def weights(twin: str, recipe: Recipe) -> Any:
        short = recipe.training.model_copy(update={"epochs": min(2, recipe.training.epochs)})
        plain = recipe.model_copy(
            update={"training": short, "early_stopping": type(recipe.early_stopping)()}
        )
        return _train(twin, plain, *small, seed, no_hook, None).weights

    fit, loop = weights("fit", start), weights("loop", start)
    known = {start.hash: loop}
    for recipe in (one for both in toggled for one in both):
        if recipe.hash not in known:
            known[recipe.hash] = weights("loop", recipe)
    return Prepared(
        data_digest=f"{train.digest} {test.digest}",
        test_examples=len(test),
        seconds=[_estimate(recipe, train, test, seed) for recipe in timed],
        framework=_gap(fit, loop),
        moved=[_gap(known[one.hash], known[other.hash]) for one, other in toggled],
    )


def _first(store: Any, count: int) -> Any:
    import numpy as np

    return np.arange(min(count, len(store)))


def _gap(one: list[Any], other: list[Any]) -> float:
    """Largest difference of any weight as a share of the largest weight; infinite where shapes
    differ.
    """
    import numpy as np

    if [w.shape for w in one] != [w.shape for w in other]:
        return float("inf")
    gap = max(
        (float(np.abs(a.astype(np.float64) - b).max()) for a, b in zip(one, other, strict=True)),
        default=0.0,
    )
    return gap / max(float(np.abs(a).max()) for a in one)


def _estimate(recipe: Recipe, train: Any, test: Any, seed: int) -> float:
    """Seconds one training will take, from epochs over a few thousand examples."""
    from twintrain.training.twin import no_hook

    share = min(1.0, _PROBE / len(train))
    part = (
        train.subset(_first(train, _PROBE)),
        test.subset(_first(test, max(1, round(share * len(test))))),
    )
    short = recipe.model_copy(
        update={
            "training": recipe.training.model_copy(update={"epochs": 3}),
            "early_stopping": type(recipe.early_stopping)(),
        }
    )
    started = time.perf_counter()
    seconds = _train("loop", short, *part, seed, no_hook, None).epoch_seconds
    overhead = time.perf_counter() - started - sum(seconds[1:])
    return float(overhead + recipe.training.epochs * min(seconds[1:]) / share)


def train(training: Training, cache: Cache) -> None:
    """Do one training and keep it; what an interruption left is taken up."""
    import numpy as np

    from twintrain.data.tfrecord_source import hold_out
    from twintrain.processes.progress import tell
    from twintrain.training.seeds import predict

    recipe = training.recipe
    train_store, test = _store("train", recipe), _store("eval", recipe)
    validation, epochs = test, recipe.training.epochs
    if recipe.data.validation_fraction:
        train_store, validation = hold_out(
            train_store, recipe.data.validation_fraction, recipe.data.validation_seed
        )

    def hook(epoch: int, logs: dict[str, float]) -> None:
        text = f"epoch {epoch + 1}/{epochs}, validation accuracy {logs['val_accuracy']:.4f}"
        tell("progress", text=text)

    tell("progress", text="starting")
    state = cache.place(training).with_suffix(".state.npz")
    state.parent.mkdir(parents=True, exist_ok=True)
    result = _train(training.twin, recipe, train_store, validation, training.seed, hook, state)
    probabilities = predict(result.model, test, recipe)

    with cache.filling(training) as place:
        np.savez(
            place / "predictions.npz", ids=test.ids, labels=test.labels, probabilities=probabilities
        )
        write_training(place, training, result.history, sum(result.epoch_seconds))
    state.unlink(missing_ok=True)


def tuned(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the best values of its own search in place of its values (where
    `tuning.apply` asks for it).
    """
    from keras_tuner import HyperParameters

    from twintrain.tuning.search import TuningJob, search, with_values

    # Unfinished searches go on, but only on the very same examples.
    data = _store("train", recipe).digest
    job = TuningJob(
        "loop", recipe, _here["data"], folder / f"tuning-{recipe.hash[:16]}-{data[:16]}"
    )
    return with_values(recipe, HyperParameters.from_config(search(job).best).values)
