"""The loop that equals a `fit` that stands alone, ready to paste."""

from __future__ import annotations

import textwrap
from typing import Any

import keras
import tensorflow as tf

from twintrain.diagnosis.replay.optimizer_config import config_of, excluded_names
from twintrain.diagnosis.replay.updates import inner
from twintrain.diagnosis.scripts.code_of import code_of
from twintrain.diagnosis.scripts.lookout import FitSeen
from twintrain.diagnosis.scripts.made_callbacks import WrittenCallbacks, written
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
    validates = test is not None and given.get("validation_data") is not None
    callbacks = written(given.get("callbacks"), model, validates)
    weighted = rows.part(2) is not None or given.get("class_weight") is not None
    told = (
        "optimizer.inner_optimizer"
        if inner(model.optimizer) is not model.optimizer
        else "optimizer"
    )
    excluded = excluded_names(inner(model.optimizer))
    spares = f"\n{told}.exclude_from_weight_decay(var_names={excluded!r})" if excluded else ""
    parts = [
        f"optimizer = {optimizer}{spares}",
        f"loss_fn = {loss_code}",
        _data(given, rows, weighted),
        _step(model, weighted),
    ]
    if validates:
        parts.append(_validation(rows.batch, bool(model.losses), callbacks.metrics))
    parts += callbacks.before_the_epochs()
    parts.append(_epochs(callbacks, validates))
    parts += callbacks.after_the_epochs()
    if getattr(model.optimizer, "use_ema", False):
        parts.append("optimizer.finalize_variable_values(model.trainable_variables)")
    title = "There is no loop here; this one trains as the fit does:"
    values |= callbacks.values
    return MadeSide(LOOP, title, "\n".join(parts) + "\n", values, tuple(callbacks.left_out))


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


def _validation(batch: int, regularized: bool, metrics: dict[str, str]) -> str:
    """A function that gives the figures after an epoch: the loss, and other metrics by name."""
    added = " + tf.add_n(model.losses)" if regularized else ""
    lines = [
        "",
        f"test_data = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch({batch})",
        "val_loss = keras.metrics.Mean()",
    ]
    if metrics:
        told = ", ".join(f'"{name}": {code}' for name, code in metrics.items())
        lines.append(f"val_metrics = {{{told}}}")
    lines += ["", "", "def validate():", f"{_INDENT}val_loss.reset_state()"]
    if metrics:
        lines.append(f"{_INDENT}for metric in val_metrics.values():")
        lines.append(f"{2 * _INDENT}metric.reset_state()")
    lines += [
        f"{_INDENT}for x, y in test_data:",
        f"{2 * _INDENT}predictions = model(x, training=False)",
        f"{2 * _INDENT}loss = loss_fn(y, predictions){added}",
        f"{2 * _INDENT}val_loss.update_state(loss, sample_weight=len(y))",
    ]
    if metrics:
        lines.append(f"{2 * _INDENT}for metric in val_metrics.values():")
        lines.append(f"{3 * _INDENT}metric.update_state(y, predictions)")
    lines.append(f'{_INDENT}figures = {{"val_loss": float(val_loss.result())}}')
    if metrics:
        lines.append(f"{_INDENT}for name, metric in val_metrics.items():")
        lines.append(f"{2 * _INDENT}figures[name] = float(metric.result())")
    return "\n".join([*lines, f"{_INDENT}return figures", "", ""])


def _epochs(callbacks: WrittenCallbacks, validates: bool) -> str:
    """The loop over epochs."""
    figures = ["loss", *(["val_loss"] if validates else []), *callbacks.metrics]
    kept = [f'"{name}": []' for name in figures]
    lines = [f"history = {{{', '.join(kept)}}}"]
    lines.append("for epoch in range(EPOCHS):")
    body = [
        *callbacks.before_an_epoch(),
        "train_loss.reset_state()",
        "for batch in train_data:",
        f"{_INDENT}train_step(*batch)",
        'history["loss"].append(float(train_loss.result()))',
    ]
    if validates:
        body.append("for name, figure in validate().items():")
        body.append(f"{_INDENT}history[name].append(figure)")
    body += callbacks.after_an_epoch()
    return "\n".join([*lines, *(f"{_INDENT}{line}" for line in body)])
