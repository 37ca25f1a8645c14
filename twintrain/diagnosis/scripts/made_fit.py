"""What `fit` would do: the counterpart of a loop that stands alone, from what was seen of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import batch_of, common_loss_objects, declare
from twintrain.diagnosis.replay.model_calls import compute_dtype, outputs_of
from twintrain.diagnosis.replay.tolerances import SUM_TO_ONE, forward_tolerance
from twintrain.diagnosis.scripts.code_of import code_of
from twintrain.diagnosis.scripts.made_side import MadeSide
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, CompleteStep, Trace, complete_steps
from twintrain.errors import TwintrainError

# Steps from which the loss is read.
_STEPS = 6


def fit_for(trace: Trace, rows: Rows, test: Rows | None) -> MadeSide:
    """Compile and `fit` on arrays, as plainly as possible, for a loop.

    Args:
        trace: an epoch of the loop.
        rows: it trains on.
        test: it evaluates on.

    Raises:
        TwintrainError: not enough was seen to make it.
    """
    steps = complete_steps(trace.steps)
    updated = [step for step in steps if step.applied is not None]
    if not updated or updated[0].applied is None:
        raise TwintrainError(
            "The loop updates its variables by hand, so it is not known which optimizer fit would "
            "need.",
            "Add a script that calls fit: `twintrain diagnose keras_version.py tf_version.py`.",
        )
    applied = updated[0].applied
    values: dict[str, Callable[[], Any]] = {}
    optimizer = code_of(applied.optimizer, applied.learning_rate)
    if optimizer is None:
        values["optimizer_like_the_loops"] = lambda: _again(applied.optimizer)
        optimizer = "optimizer_like_the_loops"
    loss, of_its_own = _loss(steps[:_STEPS])
    loss_code = code_of(loss)
    if loss_code is None or of_its_own:
        values["loss_of_the_loop"] = lambda: loss
        loss_code = "loss_of_the_loop"
    weighted = rows.part(2) is not None
    data = "x_train, y_train, " + ("sample_weight=weights, " if weighted else "")
    code = textwrap.dedent(
        f"""\
        model.compile(
            optimizer={optimizer},
            loss={loss_code},
        )
        history = model.fit(
            {data}batch_size={rows.batch}, epochs=EPOCHS{_validation(test)}, verbose=0
        )
        """
    )
    title = "There is no fit here; this is what it would do, on the same rows as arrays:"
    return MadeSide(FIT, title, code, values)


def _validation(test: Rows | None) -> str:
    return "" if test is None else ", validation_data=(x_test, y_test)"


def _again(optimizer: keras.Optimizer) -> keras.Optimizer:
    """An optimizer like another one, made anew."""
    try:
        return type(optimizer).from_config(optimizer.get_config())
    except Exception as error:  # whatever a class of the user's own raises
        raise TwintrainError(
            f"The loop's optimizer {type(optimizer).__name__} does not describe itself: {error}.",
            "Give it a get_config, or add a script that calls fit.",
        ) from None


def _loss(steps: list[CompleteStep]) -> tuple[keras.Loss, bool]:
    """The loss that gives what the tape differentiated, and whether it is the loop's own object.

    Raises:
        TwintrainError: none of Keras's does.
    """
    called = [call.loss for call in steps[0].losses]
    if len(called) == 1 and not type(called[0]).__module__.startswith("keras."):
        return called[0], True
    candidates = called if len(called) == 1 else [*common_loss_objects()]
    found: list[tuple[int, int, keras.Loss]] = []
    rel = forward_tolerance(compute_dtype(steps[0].model)).rel
    for number, loss in enumerate(candidates):
        pairs = [(_targets(step), step) for step in steps]
        if any(y is None for y, _ in pairs):
            continue
        batches = [batch_of(step, y, None) for y, step in pairs]
        read = search(declare([loss], [1.0], [()]), batches, [step.target for step in steps], rel)
        if read is not None:
            found.append((read.deviations(), number, loss))
    if not found and len(called) != 1:
        raise TwintrainError(
            "The loop's loss is none of Keras's own that could be recognised, so it is not known "
            "what fit would be compiled with.",
            "Add a script that calls fit: `twintrain diagnose keras_version.py tf_version.py`.",
        )
    loss = min(found, key=lambda one: one[:2])[2] if found else called[0]
    return _for_head(loss, steps), False


def _targets(step: CompleteStep) -> Any:
    if isinstance(step.element, tuple) and len(step.element) > 1:
        return step.element[1]
    return next((call.targets for call in step.losses if call.targets is not None), None)


def _for_head(loss: keras.Loss, steps: list[CompleteStep]) -> keras.Loss:
    """The same loss, told whether the model gives logits by what it gives."""
    config = loss.get_config()
    if "from_logits" not in config:
        return loss
    outputs = [np.asarray(outputs_of(step.outputs)[0]) for step in steps]
    inside = all(bool(((p >= 0) & (p <= 1)).all()) for p in outputs)
    wide = outputs[0].ndim > 1 and outputs[0].shape[-1] > 1
    several = "binary" not in type(loss).__name__.lower()
    if several and wide:
        inside = inside and all(
            bool((np.abs(p.sum(axis=-1) - 1) <= SUM_TO_ONE).all()) for p in outputs
        )
    return type(loss).from_config(config | {"from_logits": not inside})
