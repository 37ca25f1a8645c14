"""Steps both twins side by side on the same batches and finds where they first part.

    result = lockstep(recipe, problem, train, seed=0, steps=20)
    result.first          # None, or the first divergence: step, stage, tensor, how large

Within one step the stages are compared in the order in which they happen, so the first one that
differs is where to look: a wrong batch shows before the wrong gradient it leads to.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from twintrain.data.batches import BatchSource
from twintrain.data.columns import as_columns
from twintrain.data.example_store import ExampleStore
from twintrain.data.source import DataSource
from twintrain.data.tfrecord_source import hold_out
from twintrain.errors import TwintrainError
from twintrain.parity.divergence import Difference, Divergence, LockstepResult
from twintrain.problems.find import find_problem
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import TWINS, Recipe, TwinName
from twintrain.training.registry import twin_of
from twintrain.training.session import build, check_problem, session
from twintrain.training.step_observer import StepObserver
from twintrain.training.twin import Step, TwinJob, TwinResult

# Examples of the short trainings that are compared to their end.
SHORT = 330
Observation = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class _Stepper:
    """One twin, ready to take steps that are seen through."""

    step: Step
    observer: StepObserver
    source: BatchSource

    def take(self, epoch: int, number: int) -> Observation:
        """Take step `number` of an epoch on this twin's own batch."""
        size = self.source.batch_size
        order = self.source.epoch_order(epoch)[number * size : (number + 1) * size]
        indices, draws = tf.constant(order), tf.constant(self.source.epoch_draws(epoch))
        inputs, targets = self.source.gather(indices, draws)
        weights = self.source.weights(indices, targets)
        observation = self.observer.read(self.step(inputs, targets, weights))
        given = {
            f"inputs[{name}]" if name else "inputs": part.numpy()
            for name, part in as_columns(inputs).items()
        }
        given["targets"] = targets.numpy()
        if weights is not None:
            given["weights"] = weights.numpy()
        observation["batch"] = given
        return observation


def lockstep(
    recipe: Recipe,
    problem: Problem,
    train: ExampleStore,
    seed: int,
    steps: int,
    twins: tuple[TwinName, TwinName] = TWINS,
) -> LockstepResult:
    """Compare two twins step by step on real batches.

    Args:
        recipe: of the whole comparison; each twin obeys its own side of it.
        problem: what is learned.
        train: examples to take batches from.
        seed: of weights, order, augmentation and dropout.
        steps: how many to take; fewer when the epoch has fewer.
        twins: which two to compare; ('fit', 'fit') measures what the machine itself makes differ.

    Returns:
        the first divergence, with zero tolerance where the recipe is deterministic; elsewhere
        everything beyond what two equal twins were measured to differ by is a divergence.

    Raises:
        TwintrainError: the loop is the user's own.
    """
    if recipe.twins.own:
        raise TwintrainError(
            f"twins.loop is your own ({recipe.twins.loop}) and is not taken step by step.",
            "`twintrain.compare` has the diagnosis hold it against fit.",
        )
    tolerance: dict[str, float] = {}
    if not recipe.execution.deterministic and twins[0] != twins[1]:
        tolerance = measure_tolerance(recipe, problem, train, seed, steps)
    first: Divergence | None = None
    curve: list[float | None] = []
    with ExitStack() as stack:
        left, right = (_stepper(name, recipe, problem, train, seed, stack) for name in twins)
        count = min(steps, left.source.steps, right.source.steps)
        for number in range(count):
            found = compare(left.take(0, number), right.take(0, number))
            updates = [difference.max_abs for difference in found if difference.stage == "update"]
            measured = [value for value in updates if value is not None]
            curve.append(max(measured) if len(measured) == len(updates) else None)
            beyond = [
                difference
                for difference in found
                if difference.exceeds(tolerance.get(difference.stage, 0.0))
            ]
            if first is None and beyond:
                first = Divergence(step=number + 1, **beyond[0].model_dump())
    return LockstepResult(steps=count, first=first, curve=curve, tolerance=tolerance)


@dataclass(frozen=True)
class LockstepJob:
    """Lockstep, for a process of its own: the recipe, the data and the number of steps."""

    recipe: Recipe
    data: DataSource
    steps: int


def run_job(job: LockstepJob) -> LockstepResult:
    """Run lockstep with the recipe's first seed on the training examples the twins will get, on one
    device.
    """
    recipe, train = job.recipe.on_one_device(), training_examples(job)
    problem = find_problem(recipe, job.data.spec)
    check_problem(recipe, problem, train)
    return lockstep_to_the_end(recipe, problem, train, job.steps)


def training_examples(job: LockstepJob) -> ExampleStore:
    """What the twins will train on."""
    rules = job.recipe.data
    train = job.data.store("train", rules.memory_limit_mb)
    if rules.validation_fraction:
        train, _ = hold_out(train, rules.validation_fraction, rules.validation_seed)
    return train


def lockstep_to_the_end(
    recipe: Recipe, problem: Problem, train: ExampleStore, steps: int
) -> LockstepResult:
    """Lockstep with the recipe's first seed, and where the twins do not part in it, two short
    trainings to their end.

    Args:
        recipe: on one device.
        problem: what is learned.
        train: examples to take batches from.
        steps: how many to take side by side.
    """
    result = lockstep(recipe, problem, train, recipe.seeds[0], steps)
    if result.first is None and recipe.execution.deterministic:
        rows = np.unique(np.linspace(0, len(train) - 1, min(len(train), 2 * SHORT)).astype(int))
        result.first = compare_ends(
            recipe, problem, train.subset(rows[::2]), train.subset(rows[1::2]), recipe.seeds[0]
        )
    return result


def compare_ends(
    recipe: Recipe, problem: Problem, train: ExampleStore, validation: ExampleStore, seed: int
) -> Divergence | None:
    """Train both twins to their end on few examples, and compare each epoch's evaluation, the
    epochs and the weights.

    Returns:
        the first difference of stage 'evaluation' or 'end of run', None when there is none.
    """
    fit, loop = (
        twin_of(recipe, name).train(
            TwinJob(recipe.for_twin(name), problem, train, validation, seed)
        )
        for name in TWINS
    )
    found = compare(_end_of(fit), _end_of(loop))
    steps = fit.fingerprints.size
    beyond = [difference for difference in found if difference.exceeds(0.0)]
    return Divergence(step=max(1, steps), **beyond[0].model_dump()) if beyond else None


def _end_of(result: TwinResult) -> Observation:
    return {
        "evaluation": {
            name: np.asarray(values, np.float32) for name, values in sorted(result.history.items())
        },
        "end of run": {
            "epochs trained": np.asarray(result.epochs),
            "epoch whose weights are kept": np.asarray(result.best_epoch),
            **{f"weights[{number}]": value for number, value in enumerate(result.weights)},
        },
    }


def measure_tolerance(
    recipe: Recipe, problem: Problem, train: ExampleStore, seed: int, steps: int
) -> dict[str, float]:
    """Per stage, twice the largest difference between a twin and itself (A/A runs of both)."""
    largest: dict[str, float] = {}
    for name in TWINS:
        with ExitStack() as stack:
            one, other = (_stepper(name, recipe, problem, train, seed, stack) for _ in range(2))
            for number in range(min(steps, one.source.steps)):
                for found in compare(one.take(0, number), other.take(0, number)):
                    largest[found.stage] = max(
                        largest.get(found.stage, 0.0), 2 * (found.max_abs or 0.0)
                    )
    return largest


def compare(ours: Observation, theirs: Observation) -> list[Difference]:
    """Every tensor of a step, compared, in the order of the stages."""
    found = []
    for stage, tensors in ours.items():
        # By position: the two models may number their layers differently. A tensor one side lacks
        # is a difference.
        others = list(theirs[stage].items())
        for index, (name, a) in enumerate(tensors.items()):
            b = others[index][1] if index < len(others) else np.empty(0)
            found.append(_difference(stage, name, np.asarray(a), np.asarray(b)))
        found += [
            _difference(stage, name, np.empty(0), np.asarray(b)[None])
            for name, b in others[len(tensors) :]
        ]
    return found


def _difference(stage: str, name: str, a: np.ndarray, b: np.ndarray) -> Difference:
    if a.shape != b.shape:
        return Difference(stage=stage, tensor=name, max_abs=None, max_rel=None, max_ulps=None)
    if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        return Difference(stage=stage, tensor=name, max_abs=0.0, max_rel=0.0, max_ulps=0)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    gap = np.abs(wide_a - wide_b)
    largest = np.maximum(np.abs(wide_a), np.abs(wide_b))
    relative = np.divide(gap, largest, out=np.zeros_like(gap), where=largest > 0)
    if not np.isfinite(gap).all():
        return Difference(stage=stage, tensor=name, max_abs=None, max_rel=None, max_ulps=None)
    ulps = int(_ulps(a, b).max()) if a.dtype == np.float32 else None
    return Difference(
        stage=stage,
        tensor=name,
        max_abs=float(gap.max()),
        max_rel=float(relative.max()),
        max_ulps=ulps,
    )


def _ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance in representable float32 values: their bit patterns, ordered, are consecutive
    integers.
    """

    def ordered(values: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(values).view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)

    return np.abs(ordered(a) - ordered(b))


def _stepper(
    name: TwinName,
    recipe: Recipe,
    problem: Problem,
    train: ExampleStore,
    seed: int,
    stack: ExitStack,
) -> _Stepper:
    own = recipe.for_twin(name)
    # Open until the last step: its settings hold while graphs are traced.
    stack.enter_context(session(own, seed))
    source = BatchSource(train, own, seed, problem.preparation(own))
    built = build(own, problem, source.steps)
    observer = StepObserver(built, source.batch_size, problem)
    return _Stepper(twin_of(own, name).stepper(built, source, own), observer, source)
