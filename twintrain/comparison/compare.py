"""Both twins trained and compared, without TFX.

comparison = compare(recipe, problem, train, test)
comparison.verdict, comparison.gap
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner import HyperParameters

from twintrain.comparison.at_once import can_train_at_once, train_at_once
from twintrain.comparison.build import Inputs, build_comparison
from twintrain.comparison.comparison import Comparison
from twintrain.comparison.slices import SliceValues
from twintrain.data.example_spec import ExampleSpec
from twintrain.data.example_store import ExampleStore
from twintrain.data.overlap import check_overlap, overlap, with_overlap
from twintrain.data.target_leak import target_leaks, with_target_leaks
from twintrain.errors import TwintrainError
from twintrain.parity.divergence import LockstepResult
from twintrain.parity.lockstep import lockstep_to_the_end
from twintrain.parity.run_agreement import SeedAgreement, compare_seed
from twintrain.problems.problem import Problem
from twintrain.processes.scratch import scratch
from twintrain.recipe.recipe import TWINS, Recipe, TwinName
from twintrain.training.provenance import training_digest
from twintrain.training.seed_record import FIGURES, SeedRecord
from twintrain.training.seeds import SeedsJob, Splits, forget_state, train_seeds
from twintrain.training.session import check_problem
from twintrain.tuning.search import TuningJob, TuningResult, search, with_values

STEPS = 20  # taken side by side before the trainings
Report = Callable[[str, int, int, str], None]


def say_nothing(what: str, done: int, total: int, text: str) -> None:
    """Progress that nobody wants to know."""


@dataclass(frozen=True)
class _InMemory:
    """Two stores as a source of examples."""

    spec: ExampleSpec
    train: ExampleStore
    test: ExampleStore

    def store(self, split: str, memory_limit_mb: int) -> ExampleStore:
        """The split, whatever the limit: it is there already."""
        return self.train if split == "train" else self.test


def compare(
    recipe: Recipe,
    problem: Problem,
    train: ExampleStore,
    test: ExampleStore,
    *,
    folder: Path | None = None,
    steps: int = STEPS,
    slice_values: SliceValues | None = None,
    report: Report = say_nothing,
    at_once: bool = False,
) -> Comparison:
    """Train both twins with every seed of a recipe, and compare them slice by slice.

        recipe = twintrain.load_recipe("bare", ["training.epochs=5"])   # its loop does not shuffle
        train, test = twintrain.examples(x, y), twintrain.examples(x_test, y_test)
        problem = twintrain.find_problem(recipe, twintrain.labelled_images(train.shape, 10))
        twintrain.compare(recipe, problem, train, test, folder=Path("trainings")).sentence

    The trainings are those of the pipeline, bit for bit; what only the pipeline knows (the
    Evaluator's count, whether a twin is pushed) is None in the result. Write it as a page and as
    JSON with `twintrain.write_report(comparison, folder)`; in a notebook it shows itself.

    Args:
        recipe: every training decision; the loop twin may deviate (`recipe.loop`).
        problem: model, loss, metrics and what counts as right.
        train: examples to train on; a part is held out where the recipe says so.
        test: examples to compare on.
        folder: keeps trainings, ended or not, so that the same call goes on; None forgets them.
        steps: taken side by side before the trainings; 0 for none. Your own loop is diagnosed.
        slice_values: by slice key, a value per test example, in the order of `test.ids`.
        report: called with what is being done ('fit', 'loop', 'steps', 'tuning'), how much of it
            is done, of how much, and a text for a person.
        at_once: train both twins at the same time, each in a process of its own, where that is
            faster: several cores, no GPU, examples in memory. The script that asks for it must keep
            what it does under `if __name__ == "__main__":`.

    Returns:
        verdict, slices, intervals, learning curves; see `twintrain.Comparison`.

    Raises:
        TwintrainError: model, training and test split do not fit, or a training diverged.
    """
    check_problem(recipe, problem, train)
    sliced = _slice_values(problem, train, test, slice_values)
    data = _data(recipe, problem, train, test)
    with ExitStack() as stack:
        home = folder or stack.enter_context(scratch("compare"))
        side_by_side = _steps(recipe, problem, train, steps, report) if steps else None
        found = _searches(recipe, _InMemory(problem.spec, train, test), home, report)
        training = _Training(problem, Splits.of(recipe, train, test), home, report, at_once)
        records = training.all({twin: _tuned(recipe, twin, found) for twin in TWINS})
        inputs = Inputs(recipe, problem, records, _agreement(recipe, records), sliced, data)
        trials = {twin: result.trials for twin, result in found.items()}
        return build_comparison(replace(inputs, trials=trials, lockstep=side_by_side))


def _slice_values(
    problem: Problem, train: ExampleStore, test: ExampleStore, given: SliceValues | None
) -> SliceValues:
    """What test examples are sliced by; asked before the long work."""
    if given is None:
        return problem.slice_values(train, test)
    found: dict[str, Any] = {}
    for key in problem.statement.slice_keys:
        values = np.asarray(given.get(key, ()))
        if values.dtype.kind == "O" and all(isinstance(value, str) for value in values.flat):
            values = values.astype(np.str_)  # as pandas keeps texts
        if values.shape != (len(test),) or values.dtype.kind not in "iuU":
            raise TwintrainError(
                f"slice_values must have {len(test):,} values by {key!r}, one per test example, "
                "texts or whole numbers.",
                "Give them in the order of test.ids.",
            )
        found[key] = values
    return found


def _steps(
    recipe: Recipe, problem: Problem, train: ExampleStore, steps: int, report: Report
) -> LockstepResult:
    if recipe.twins.own:
        # Not above: the diagnosis takes half a second to import.
        from twintrain.diagnosis.own_twin import explain_own_loop

        report("steps", 0, 1, f"diagnosis of {recipe.twins.loop}")
        return explain_own_loop(recipe, problem, train)
    report("steps", 0, 1, f"{steps} steps side by side")
    return lockstep_to_the_end(recipe.on_one_device(), problem, train, steps)


def _searches(
    recipe: Recipe, data: _InMemory, home: Path, report: Report
) -> dict[TwinName, TuningResult]:
    """The search of each twin, where its result is used: nowhere else is it worth its time."""
    found: dict[TwinName, TuningResult] = {}
    for place, twin in enumerate(TWINS if recipe.tuning.apply else ()):
        report("tuning", place, len(TWINS), f"{recipe.tuning.trials} trials of the {twin} twin")
        own = recipe.for_twin(twin)
        name = hashlib.sha256(f"{own.hash} {data.train.digest}".encode()).hexdigest()[:16]
        found[twin] = search(TuningJob(twin, own, data, home / f"tuning-{twin}-{name}"))
    return found


def _tuned(recipe: Recipe, twin: TwinName, found: dict[TwinName, TuningResult]) -> Recipe:
    """The recipe as a twin obeys it, with the best values of its search in place."""
    own = recipe.for_twin(twin)
    if twin not in found:
        return own
    own = own.model_copy(update={"tuning": own.tuning.model_copy(update={"apply": False})})
    return with_values(own, HyperParameters.from_config(found[twin].best).values)


@dataclass(frozen=True)
class _Training:
    """What the trainings of both twins have in common; see `compare`."""

    problem: Problem
    splits: Splits
    home: Path
    report: Report
    at_once: bool

    def all(self, recipes: dict[TwinName, Recipe]) -> dict[TwinName, Path]:
        """Train what is missing of every twin's seeds.

        Args:
            recipes: as each twin obeys it.

        Returns:
            where the records of each twin are.
        """
        folders = {twin: self._folder(twin, own) for twin, own in recipes.items()}
        jobs = [
            SeedsJob(twin, own, folders[twin], self.home / "state", missing)
            for twin, own in recipes.items()
            if (missing := _missing(own, folders[twin]))
        ]
        if self.at_once and can_train_at_once(jobs, self.problem, self.splits):
            train_at_once(jobs, self.problem, self.splits, self.home, self.report)
        else:
            for job in jobs:
                self._train(job)
        return folders

    def _folder(self, twin: TwinName, own: Recipe) -> Path:
        """Where the records of just this training belong."""
        decides = own.for_training().model_copy(update={"seeds": ()})
        data = f"{self.splits.trained_on} {self.splits.test.digest}"
        text = f"{decides.hash} {data} {training_digest(own)}"
        return self.home / f"{twin}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def _train(self, job: SeedsJob) -> None:
        def told(done: int, total: int, text: str) -> None:
            self.report(job.twin, done, total, text)

        train_seeds(job, self.problem, self.splits, told)
        forget_state(job)


def _missing(own: Recipe, folder: Path) -> tuple[int, ...]:
    """The seeds without a record."""
    return tuple(s for s in own.seeds if not (SeedRecord.place(folder, s) / FIGURES).exists())


def _agreement(recipe: Recipe, records: dict[TwinName, Path]) -> list[SeedAgreement]:
    found = []
    for seed in recipe.seeds:
        fit, loop = (SeedRecord.read(SeedRecord.place(records[twin], seed)) for twin in TWINS)
        found.append(compare_seed(fit, loop))
    return found


def _data(
    recipe: Recipe, problem: Problem, train: ExampleStore, test: ExampleStore
) -> dict[str, Any]:
    """What is told of each split.

    Raises:
        TwintrainError: they have more in common than the recipe allows.
    """
    shared = overlap(train, test)
    check_overlap(shared, recipe.comparison.overlap_limit)
    counts = {"train": _counts(problem, train), "eval": _counts(problem, test)}
    leaks = target_leaks(train, problem.task.CLASSIFIES, problem.statement.labels)
    return with_target_leaks(with_overlap(counts, shared), leaks)


def _counts(problem: Problem, store: ExampleStore) -> dict[str, Any]:
    """Examples of a split and, where targets are classes, of each label."""
    if problem.spec.classes is None:
        return {"examples": len(store)}
    labels = np.bincount(store.targets, minlength=problem.spec.classes)
    named = {str(label): int(count) for label, count in enumerate(labels) if count}
    return {"examples": len(store), "labels": dict(sorted(named.items()))}
