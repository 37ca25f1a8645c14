"""Finds the step, and in it the operation, at which a training's numbers stopped being numbers.

    try:
        twin.train(job)
    except LossNotFiniteError as error:
        raise located(error, "loop", job) from None

The epoch is taken again, step by step, from the state that was saved before it: trainings are
deterministic. The step that is found is then made once more in plain Python, with TensorFlow's
`tf.debugging.enable_check_numerics` looking at what each operation gives.
"""

from __future__ import annotations

import math
import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from twintrain.data.batches import BatchSource
from twintrain.data.columns import as_columns
from twintrain.errors import TwintrainError
from twintrain.processes.progress import report_progress
from twintrain.recipe.recipe import TwinName
from twintrain.training.course import Leg, legs
from twintrain.training.loss_not_finite import LOWER_THE_RATE, LossNotFiniteError
from twintrain.training.registry import twin_of
from twintrain.training.session import Built, build, session
from twintrain.training.step_observer import StepObserver
from twintrain.training.twin import TwinJob

_SHOWN = 3  # variables with the largest gradients
_OPERATION = re.compile(r'executing op "?(\w+)"?')
_LIBRARY = Path(__file__).resolve().parent.parent


# Inputs, targets, and how much each example counts; None where all count alike.
_Batch = tuple[Any, tf.Tensor, tf.Tensor | None]


@dataclass(frozen=True)
class _Step:
    """A step as it was seen.

    Attributes:
        epoch: from 0.
        number: within the epoch, from 0.
        loss: of its batch.
        learning_rate: it was made with.
        norms: of the gradients, per variable.
        norms_before: those of the step before; empty for the first one taken.
    """

    epoch: int
    number: int
    loss: float
    learning_rate: float
    norms: dict[str, float]
    norms_before: dict[str, float]


def located(error: LossNotFiniteError, twin: TwinName, job: TwinJob) -> LossNotFiniteError:
    """The same error, saying at which step it began, how large the gradients were, and by which
    operation.

    Args:
        error: what the training ended with.
        twin: whose it was.
        job: the training; its saved state is read, not changed.

    Returns:
        an error with as much as could be found; where the epoch cannot be taken step by step (more
        than one device, a whole loop of the user's own) that is the epoch alone.
    """
    whose = f"the {twin} twin with seed {job.seed}"
    text = f"The training loss of {whose} is not a number any more: epoch {error.epoch + 1}"
    if job.recipe.execution.strategy == "none":
        report_progress("note", text=f"{text}; its steps are taken again to find where.")
        try:
            return LossNotFiniteError(
                _told(text, _replayed(error, twin, job)), LOWER_THE_RATE, error.epoch
            )
        except TwintrainError:
            pass  # a twin that cannot be taken step by step
    return LossNotFiniteError(f"{text}.", LOWER_THE_RATE, error.epoch)


def _told(text: str, found: tuple[_Step, str] | None) -> str:
    if found is None:
        return f"{text}. Taken again step by step, it went well: this training is not deterministic"
    step, operation = found
    return f"{text}, step {step.number + 1}, loss {step.loss:.4g}{_gradients(step)}.{operation}"


def _gradients(step: _Step) -> str:
    if not step.norms:
        return ""  # of a step of the user's own, past the optimizer

    def size(item: tuple[str, float]) -> float:
        return item[1] if math.isfinite(item[1]) else math.inf

    largest = sorted(step.norms.items(), key=size, reverse=True)[:_SHOWN]
    parts = []
    for name, norm in largest:
        before = step.norms_before.get(name)
        parts.append(f"{name} {norm:.3g}" + ("" if before is None else f" ({before:.3g})"))
    also = " (in the step before)" if step.norms_before else ""
    return (
        f", learning rate {step.learning_rate:.4g}. Largest gradients{also}, as 2-norms: "
        f"{', '.join(parts)}"
    )


def _replayed(error: LossNotFiniteError, twin: TwinName, job: TwinJob) -> tuple[_Step, str] | None:
    """The step and a sentence on its operation; None where all steps went well this time."""
    step = _first_bad_step(error, twin, job)
    if step is None:
        return None
    with session(job.recipe, job.seed):
        source = BatchSource(job.train, job.recipe, job.seed, job.problem.preparation(job.recipe))
        leg = _leg(job, source, step.epoch)
        built, progress = leg.built, leg.progress
        take = twin_of(job.recipe, twin).stepper(built, source, job.recipe)
        batch = _batch(source, step.epoch, step.number)
        missing = _not_numbers(batch, job.train.ids, _places(source, step.epoch, step.number))
        if missing or job.recipe.twins.own:  # what a step of the user's own computes is not known
            return step, missing
        flag, usual = job.recipe.training.training_flag, ""
        if (step.epoch, step.number) != (progress.epochs, 0):
            # A mask of infinities, say, is in every step.
            usual = _operation(built, _batch(source, progress.epochs, 0), flag)
        for epoch in range(progress.epochs, step.epoch + 1):
            last = step.number if epoch == step.epoch else source.steps
            for number in range(last):
                take(*_batch(source, epoch, number))
        named = _operation(built, batch, flag)
        return step, "" if named == usual else named


def _first_bad_step(error: LossNotFiniteError, twin: TwinName, job: TwinJob) -> _Step | None:
    with session(job.recipe, job.seed):
        source = BatchSource(job.train, job.recipe, job.seed, job.problem.preparation(job.recipe))
        leg = _leg(job, source, error.epoch)
        built, progress = leg.built, leg.progress
        observer = StepObserver(built, source.batch_size, job.problem)
        take = twin_of(job.recipe, twin).stepper(built, source, job.recipe)
        # A loss scale begins too high on purpose: its first gradients may overflow.
        scaled = isinstance(built.optimizer, keras.optimizers.LossScaleOptimizer)
        before: dict[str, float] = {}
        for epoch in range(progress.epochs, error.epoch + 1):
            for number in range(source.steps):
                rate = _learning_rate(built.optimizer)
                loss = float(take(*_batch(source, epoch, number))["loss"])
                norms = observer.gradient_norms()
                numbers = [loss] if scaled else [loss, *norms.values()]
                if not np.isfinite(numbers).all():
                    return _Step(epoch, number, loss, rate, norms, before)
                before = norms
    return None


def _leg(job: TwinJob, source: BatchSource, epoch: int) -> Leg:
    """The phase that an epoch is in, from where the training stood before it.

    Raises:
        TwintrainError: no state is kept, and the phases before it would have to be trained again.
    """
    for leg in legs(job, build(job.recipe, job.problem, source.steps), source.steps):
        if epoch < leg.phase.end:
            return leg
        if not leg.over:
            break
        leg.built.optimizer.finalize_variable_values(leg.built.model.trainable_variables)
    raise TwintrainError(f"Epoch {epoch + 1} is in a later phase.", "Keep the training's state.")


def _batch(source: BatchSource, epoch: int, number: int) -> _Batch:
    order = tf.constant(_places(source, epoch, number))
    inputs, targets = source.gather(order, tf.constant(source.epoch_draws(epoch)))
    return inputs, targets, source.weights(order, targets)


def _places(source: BatchSource, epoch: int, number: int) -> np.ndarray:
    """Which training examples are in a batch."""
    return source.epoch_order(epoch)[number * source.batch_size :][: source.batch_size]


def _not_numbers(batch: _Batch, ids: npt.NDArray[np.bytes_], places: np.ndarray) -> str:
    """A sentence on an example of a batch that is itself no number; empty where all are."""
    inputs, targets, _ = batch
    for name, part in (*as_columns(inputs).items(), ("target", targets)):
        values = part.numpy().reshape(len(places), -1)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = ~np.isfinite(values).all(axis=1)
            first = ids[places[bad.argmax()]].decode(errors="replace")
            what = f" {name!r}" if name else ""
            return (
                f" {int(bad.sum())} of its {len(places)} examples have no number in the data"
                f"{what}: {first} is the first."
            )
    return ""


def _learning_rate(optimizer: keras.Optimizer) -> float:
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return float(inner.learning_rate)


def _operation(built: Built, batch: _Batch, flag: bool) -> str:
    """A sentence on the first operation of a step that gives no number; empty where none is seen:
    in plain Python the step may round otherwise.
    """
    inputs, targets, weights = batch
    tf.debugging.enable_check_numerics()
    try:
        with tf.GradientTape() as tape:
            outputs = built.model(inputs, training=flag)
            loss = built.loss(targets, outputs, sample_weight=weights)
            loss = tf.add_n([loss, *built.model.losses])
        tape.gradient(built.optimizer.scale_loss(loss), built.model.trainable_variables)
    except tf.errors.InvalidArgumentError as error:
        named = _OPERATION.search(str(error))
        if named is None:
            return ""
        where = _place(error.__traceback__)
        return f" The first operation that gave no number: {named[1]}{where}."
    finally:
        tf.debugging.disable_check_numerics()
    return ""


def _place(trace: TracebackType | None) -> str:
    """Where the user's code, or else this library's, called the operation."""
    frames = [
        frame
        for frame in traceback.extract_tb(trace)
        if "site-packages" not in frame.filename and Path(frame.filename) != Path(__file__)
    ]
    own = [frame for frame in frames if _LIBRARY not in Path(frame.filename).parents]
    chosen = (own or frames)[-1:]
    return "".join(f" ({frame.filename}:{frame.lineno}: {frame.line})" for frame in chosen)
