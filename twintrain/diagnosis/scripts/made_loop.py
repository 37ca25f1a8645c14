"""The loop that equals a `fit` that stands alone, ready to paste."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.replay.optimizer_config import config_of
from twintrain.diagnosis.scripts.code_of import code_of
from twintrain.diagnosis.scripts.lookout import FitSeen
from twintrain.diagnosis.scripts.made_side import MadeSide
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.seams import datasets_behind
from twintrain.diagnosis.watch.trace import LOOP
from twintrain.errors import TwintrainError

_INDENT = "    "


def loop_for(call: FitSeen, rows: Rows, test: Rows | None) -> MadeSide:
    """A loop that trains as one call of `fit` does.

    Args:
        call: as it was seen.
        rows: it trains on.
        test: it validates on.

    Raises:
        TwintrainError: `fit` does something that this loop cannot be written for.
    """
    model, given = call.model, call.given
    optimizer = code_of(model.optimizer)
    values: dict[str, Any] = {}
    if optimizer is None:
        config = config_of(model.optimizer)
        kind = type(model.optimizer)
        values["optimizer_like_fits"] = lambda: kind.from_config(config)
        optimizer = "optimizer_like_fits"
    loss = _loss_of(model)
    loss_code = code_of(loss)
    if loss_code is None:
        values["loss_of_fit"] = lambda: loss
        loss_code = "loss_of_fit"
    early, scheduled, left_out = _callbacks(given.get("callbacks"))
    weighted = rows.part(2) is not None or given.get("class_weight") is not None
    parts = [
        f"optimizer = {optimizer}",
        f"loss_fn = {loss_code}",
        _data(given, rows, weighted),
        _step(model, weighted),
    ]
    validates = test is not None and given.get("validation_data") is not None
    if validates:
        parts.append(_validation(rows.batch, bool(model.losses)))
    if early is not None:
        parts.append('best, best_weights, waited = float("inf"), model.get_weights(), 0')
    parts.append(_epochs(early, scheduled, validates, values))
    if early is not None and early.restore_best_weights:
        parts.append("model.set_weights(best_weights)")
    if getattr(model.optimizer, "use_ema", False):
        parts.append("optimizer.finalize_variable_values(model.trainable_variables)")
    title = "There is no loop here; this one trains as the fit does:"
    return MadeSide(LOOP, title, "\n".join(parts) + "\n", values, tuple(left_out))


def _loss_of(model: keras.Model) -> keras.Loss:
    flat = getattr(getattr(model, "_compile_loss", None), "_flat_losses", None) or []
    if len(flat) != 1:
        raise TwintrainError(
            f"The fit has {len(flat)} losses; a loop can be written for one.",
            "Add the loop, or compare fit with a script that has it.",
        )
    return _by_class(flat[0].loss)


def _by_class(loss: Any) -> keras.Loss:
    """The loss of Keras's own class where it was given by its name or as a function."""
    name = getattr(getattr(loss, "fn", None), "__name__", "")
    for kind in vars(keras.losses).values():
        if isinstance(kind, type) and issubclass(kind, keras.Loss) and kind is not keras.Loss:
            try:
                one = kind()
            except TypeError:
                continue
            plain = type(loss).__name__ == "LossFunctionWrapper"
            if plain and getattr(getattr(one, "fn", None), "__name__", None) == name:
                return one
    return loss


def _data(given: dict[str, Any], rows: Rows, weighted: bool) -> str:
    """The training data as a data set."""
    data = given.get("x")
    shuffled = bool(given.get("shuffle", True))
    if isinstance(data, tf.data.Dataset):
        shuffled = _shuffles(data)
    lines = []
    names = "x_train, y_train"
    if given.get("class_weight") is not None:
        table = {int(k): float(v) for k, v in given["class_weight"].items()}
        lines.append(f"class_weight = {table}")
        lines.append("weights = tf.constant([class_weight[int(label)] for label in y_train])")
    if weighted:
        names += ", weights"
    lines.append(f"train_data = tf.data.Dataset.from_tensor_slices(({names}))")
    if shuffled:
        lines.append("train_data = train_data.shuffle(len(y_train))")
    lines.append(f"train_data = train_data.batch({rows.batch})")
    return "\n".join(lines)


def _shuffles(data: tf.data.Dataset) -> bool:
    return any("shuffle" in type(one).__name__.lower() for one in datasets_behind(data))


def _step(model: keras.Model, weighted: bool) -> str:
    """One training step, with what it notes."""
    arguments = "x, y, w" if weighted else "x, y"
    weights = ", w" if weighted else ""
    total = [f"loss = loss_fn(y, predictions{weights})"]
    if model.losses:
        total.append("loss += tf.add_n(model.losses)  # regularization")
    body = textwrap.indent("\n".join(total), 2 * _INDENT)
    return (
        "train_loss = keras.metrics.Mean()\n\n\n@tf.function\n"
        f"def train_step({arguments}):\n"
        f"{_INDENT}with tf.GradientTape() as tape:\n"
        f"{2 * _INDENT}predictions = model(x, training=True)\n"
        f"{body}\n"
        f"{_INDENT}gradients = tape.gradient(loss, model.trainable_variables)\n"
        f"{_INDENT}optimizer.apply_gradients(zip(gradients, model.trainable_variables))\n"
        f"{_INDENT}train_loss.update_state(loss, sample_weight=tf.shape(x)[0])\n\n"
    )


def _validation(batch: int, regularized: bool) -> str:
    added = " + tf.add_n(model.losses)" if regularized else ""
    return textwrap.dedent(
        f"""\

        test_data = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch({batch})
        val_loss = keras.metrics.Mean()


        def validate():
            val_loss.reset_state()
            for x, y in test_data:
                loss = loss_fn(y, model(x, training=False)){added}
                val_loss.update_state(loss, sample_weight=len(y))
            return float(val_loss.result())

        """
    )


def _callbacks(given: Any) -> tuple[Any, Any, list[str]]:
    """Early stopping, a schedule of the learning rate, and what is left out, by name."""
    early = scheduled = None
    left_out = []
    callbacks = getattr(given, "callbacks", given) or []
    for callback in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        if isinstance(callback, keras.callbacks.EarlyStopping) and early is None:
            early = callback
        elif isinstance(callback, keras.callbacks.LearningRateScheduler) and scheduled is None:
            scheduled = callback
        elif not isinstance(callback, (keras.callbacks.History, keras.callbacks.ProgbarLogger)):
            left_out.append(type(callback).__name__)
    if early is not None and early.monitor not in ("val_loss", "loss"):
        left_out.append(f"EarlyStopping on {early.monitor}")
        early = None
    return early, scheduled, left_out


def _epochs(early: Any, scheduled: Any, validates: bool, values: dict[str, Any]) -> str:
    """The loop over epochs."""
    lines = ['history = {"loss": []' + (', "val_loss": []}' if validates else "}")]
    lines.append("for epoch in range(EPOCHS):")
    body = []
    if scheduled is not None:
        values["schedule"] = lambda: scheduled.schedule
        both = len(inspect.signature(scheduled.schedule).parameters) > 1
        given = "epoch, float(optimizer.learning_rate)" if both else "epoch"
        body.append(f"optimizer.learning_rate = schedule({given})")
    body += [
        "train_loss.reset_state()",
        "for batch in train_data:",
        f"{_INDENT}train_step(*batch)",
        'history["loss"].append(float(train_loss.result()))',
    ]
    if validates:
        body.append('history["val_loss"].append(validate())')
    if early is not None:
        body += _early_body(early)
    return "\n".join([*lines, *(f"{_INDENT}{line}" for line in body)])


def _early_body(early: Any) -> list[str]:
    """What `EarlyStopping` does at the end of an epoch, on a loss."""
    delta = abs(float(early.min_delta))
    limit = f"best - {delta!r}" if delta else "best"
    lines = [f'watched = history["{early.monitor}"][-1]']
    if early.start_from_epoch:
        lines.append(f"if epoch < {early.start_from_epoch}:")
        lines.append(f"{_INDENT}continue")
    restore = bool(early.restore_best_weights)
    lines.append(f"if watched < {limit}:")
    kept = "best, best_weights, waited = watched, model.get_weights(), 0"
    lines.append(f"{_INDENT}{kept if restore else 'best, waited = watched, 0'}")
    lines.append("else:")
    lines.append(f"{_INDENT}waited += 1")
    lines.append(f"{_INDENT}if waited >= {max(1, early.patience)}:")
    lines.append(f"{2 * _INDENT}break")
    return lines
