"""What `fit` would do: the counterpart of a loop that stands alone, from what was seen of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.common_losses import common_loss_objects
from twintrain.diagnosis.replay.declared_losses import declare
from twintrain.diagnosis.replay.heads import gives_probabilities
from twintrain.diagnosis.replay.loss_search import search
from twintrain.diagnosis.replay.losses import batch_of
from twintrain.diagnosis.replay.model_calls import compute_dtype, outputs_of
from twintrain.diagnosis.replay.optimizer_config import config_of, excluded_names
from twintrain.diagnosis.replay.tolerances import forward_tolerance
from twintrain.diagnosis.replay.updates import inner
from twintrain.diagnosis.scripts.code_of import code_of
from twintrain.diagnosis.scripts.made_side import MadeSide
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, CompleteStep, Trace, complete_steps
from twintrain.errors import TwintrainError

# Steps from which the loss is read.
_STEPS = 6
_RESETTING = """\
def reset_state(epoch, logs):
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()

"""
_RESET = "keras.callbacks.LambdaCallback(on_epoch_begin=reset_state)"


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
    loss, of_its_own = _loss(steps)
    loss_code = code_of(loss)
    if loss_code is None or of_its_own:
        values["loss_of_the_loop"] = lambda: loss
        loss_code = "loss_of_the_loop"
    weighted = rows.part(2) is not None
    data = "x_train, y_train, " + ("sample_weight=weights, " if weighted else "")
    # What recurrent layers carry from batch to batch ends with an epoch; fit never ends it.
    carries = any(getattr(layer, "stateful", False) for layer in steps[0].model.layers)
    callbacks = f", callbacks=[{_RESET}]" if carries else ""
    excluded = excluded_names(inner(applied.optimizer))
    wrapped = inner(applied.optimizer) is not applied.optimizer
    told = "optimizer.inner_optimizer" if wrapped else "optimizer"
    spares = f"{told}.exclude_from_weight_decay(var_names={excluded!r})\n" if excluded else ""
    made = f"optimizer = {optimizer}\n{spares}" if excluded else ""
    code = (
        (_RESETTING if carries else "")
        + made
        + textwrap.dedent(
            f"""\
        model.compile(
            optimizer={"optimizer" if excluded else optimizer},
            loss={loss_code},
        )
        history = model.fit(
            {data}batch_size={rows.batch}, epochs=EPOCHS{_validation(test)}{callbacks}, verbose=0
        )
        """
        )
    )
    title = "There is no fit here; this is what it would do, on the same rows as arrays:"
    return MadeSide(FIT, title, code, values)


def _validation(test: Rows | None) -> str:
    return "" if test is None else ", validation_data=(x_test, y_test)"


def _again(optimizer: keras.Optimizer) -> keras.Optimizer:
    """An optimizer like another one, made anew."""
    try:
        return type(optimizer).from_config(config_of(optimizer))
    except Exception as error:  # whatever a class of the user's own raises
        raise TwintrainError(
            f"The loop's optimizer {type(optimizer).__name__} does not describe itself: {error}.",
            "Give it a get_config, or add a script that calls fit.",
        ) from None


def _loss(seen: list[CompleteStep]) -> tuple[keras.Loss, bool]:
    """The loss that gives what the tape differentiated, and whether it is the loop's own object.

    Raises:
        TwintrainError: none of Keras's does.
    """
    steps = seen[:_STEPS]
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
    return _for_head(loss, seen), False


def _targets(step: CompleteStep) -> Any:
    if isinstance(step.element, tuple) and len(step.element) > 1:
        return step.element[1]
    return next((call.targets for call in step.losses if call.targets is not None), None)


def _for_head(loss: keras.Loss, steps: list[CompleteStep]) -> keras.Loss:
    """The same loss, told whether the model gives logits by what the model is and gives; as the
    loop has it where that cannot be told.
    """
    config = loss.get_config()
    if "from_logits" not in config:
        return loss
    outputs = [np.asarray(outputs_of(step.outputs)[0]) for step in steps]
    probable = gives_probabilities(steps[0].model, outputs)
    if probable is None:
        return loss
    return type(loss).from_config(config | {"from_logits": not probable})
