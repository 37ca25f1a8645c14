"""What happens in the process that trains: the data is read once, trainings are done one after the
other.

The process owns the GPU; the one that plans and computes does not import TensorFlow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from twintrain.attribution.training_cache import Cache, Outcome, Training
from twintrain.data.source import DataSource
from twintrain.processes.background import Background
from twintrain.recipe.recipe import Recipe, TwinName

if TYPE_CHECKING:
    from twintrain.data.example_store import ExampleStore
    from twintrain.problems.problem import Problem
    from twintrain.training.twin import TwinResult

Answer = TypeVar("Answer")
# examples of the trainings that check which practices change bits: ten batches of 32 and a partial
# one
SAMPLE = 330
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
        self._progress = progress
        kept = f"Finished trainings are kept; what TensorFlow said last is in {log}."
        self._process = Background(log, kept, _begin, (data,))

    def __enter__(self) -> TrainerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.__exit__(*error)

    def call(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Run a function of this module in the process.

        Raises:
            TwintrainError: the process was killed.
        """
        self._process.begin(function, *arguments)
        while not self._process.has_ended(0.5):
            self._progress(self._process.last_text())
        answer: Answer = self._process.outcome()
        return answer


_here: dict[str, Any] = {}


def _begin(data: DataSource) -> None:
    _here["data"] = data


def _store(split: str, recipe: Recipe) -> ExampleStore:
    if split not in _here:
        _here[split] = _here["data"].store(split, recipe.data.memory_limit_mb)
    found: ExampleStore = _here[split]
    return found


def _problem(recipe: Recipe) -> Problem:
    from twintrain.problems.find import find_problem

    if "spec" not in _here:
        _here["spec"] = _here["data"].spec
    return find_problem(recipe, _here["spec"])


def _short(
    twin: TwinName, recipe: Recipe, train: ExampleStore, validation: ExampleStore, seed: int
) -> TwinResult:
    """A training of a few epochs, without early stopping and without a trace on the disk."""
    from twintrain.training.registry import twin_of
    from twintrain.training.twin import TwinJob

    plain = recipe.model_copy(update={"early_stopping": type(recipe.early_stopping)()})
    job = TwinJob(plain, _problem(plain), train, validation, seed)
    return twin_of(plain, twin).train(job)


def _with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """A short training by the same rules, with an epoch of each of its phases at least."""
    phases = recipe.fine_tuning
    if phases.frozen_epochs:
        phases = phases.model_copy(update={"frozen_epochs": 1})
    training = recipe.training.model_copy(update={"epochs": epochs})
    return recipe.model_copy(update={"training": training, "fine_tuning": phases})


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
    from twintrain.training.session import check_problem

    train, test = _store("train", start), _store("eval", start)
    check_problem(start, _problem(start), train)
    small = train.subset(_first(train, SAMPLE)), test.subset(_first(test, SAMPLE))

    def weights(twin: TwinName, recipe: Recipe) -> list[np.ndarray]:
        short = _with_epochs(recipe, min(2, recipe.training.epochs))
        return _short(twin, short, *small, seed).weights

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


def _first(store: ExampleStore, count: int) -> npt.NDArray[np.int64]:
    return np.arange(min(count, len(store)))


def _gap(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Largest difference of any weight as a share of the largest weight; infinite where shapes
    differ.
    """
    if [w.shape for w in one] != [w.shape for w in other]:
        return float("inf")
    gaps = (float(np.abs(a.astype(np.float64) - b).max()) for a, b in zip(one, other, strict=True))
    return max(gaps, default=0.0) / max(float(np.abs(a).max()) for a in one)


def _estimate(recipe: Recipe, train: ExampleStore, test: ExampleStore, seed: int) -> float:
    """Seconds one training will take, from epochs over a few thousand examples."""
    share = min(1.0, _PROBE / len(train))
    part = train.subset(_first(train, _PROBE))
    held = test.subset(_first(test, max(1, round(share * len(test)))))
    started = time.perf_counter()
    seconds = _short("loop", _with_epochs(recipe, 3), part, held, seed).epoch_seconds
    overhead = time.perf_counter() - started - sum(seconds[1:])
    return float(overhead + recipe.training.epochs * min(seconds[1:]) / share)


def train(training: Training, cache: Cache) -> None:
    """Do one training and keep it; what an interruption left is taken up."""
    from twintrain.processes.progress import report_progress
    from twintrain.training import resume
    from twintrain.training.seeds import Splits, epoch_text, train_seed
    from twintrain.training.twin import TwinJob

    recipe = training.recipe
    splits = Splits.of(recipe, _store("train", recipe), _store("eval", recipe))
    problem = _problem(recipe)
    metric = problem.task.metric.logged

    def hook(epoch: int, logs: dict[str, float]) -> None:
        report_progress("progress", text=epoch_text(epoch, recipe.training.epochs, logs, metric))

    report_progress("progress", text="starting")
    state = cache.place(training).with_suffix(".state.npz")
    state.parent.mkdir(parents=True, exist_ok=True)
    job = TwinJob(recipe, problem, splits.train, splits.validation, training.seed, hook, state)
    with cache.filling(training) as place:
        train_seed(training.twin, job, splits, place)
    resume.forget(state)


def outcome(training: Training, cache: Cache) -> Outcome:
    """What a finished training left."""
    return cache.outcome(training, _problem(training.recipe))


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
