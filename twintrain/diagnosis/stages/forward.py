"""Stage 'forward output': the models themselves, their training flag, precision and masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.stages.findings import FIT, LOOP, Pair, Side, close_to, shown
from twintrain.diagnosis.watch.trace import Arrays, Step, value_of

STAGE = "forward output"
# Half precision rounds at 2^-11 (float16) or 2^-8 (bfloat16) of a value.
LOOSE = {"float16": 4e-3, "bfloat16": 3e-2}


def check_models(pair: Pair) -> None:
    """Compare the settings of the two trained models, layer by layer."""
    models = [side.steps[0].model for side in pair.sides]
    fit, loop = ([_settings(layer) for layer in _layers(model)] for model in models)
    reference = [_settings(layer) for layer in _layers(pair.subject.functions["build_model"]())]
    if [kind for kind, _ in fit] != [kind for kind, _ in loop]:
        pair.unexplained.append("the two sides train models of different layers")
        return
    for number, ((kind, ours), (_, theirs)) in enumerate(zip(fit, loop, strict=True)):
        wanted = (
            reference[number][1] if number < len(reference) and reference[number][0] == kind else {}
        )
        for key in sorted(set(ours) | set(theirs)):
            if ours.get(key) != theirs.get(key):
                # Freezing is no mistake by itself: the loop is held against fit.
                departs = theirs.get(key) == wanted.get(key) and key != "trainable"
                at_fault = FIT if departs else LOOP
                values = (
                    (ours.get(key), theirs.get(key))
                    if at_fault == FIT
                    else (theirs.get(key), ours.get(key))
                )
                _name_setting(pair, f"{kind}.{key}", key, at_fault, *values)


def _name_setting(
    pair: Pair, where: str, key: str, at_fault: str, observed: Any, correct: Any
) -> None:
    evidence = shown(where, observed, observed, correct)
    rates = isinstance(observed, float) and isinstance(correct, float)
    if key == "rate" and rates and abs(observed + correct - 1) < 1e-6:
        pair.name_cause("dropout_rate_inverted", at_fault, STAGE, 0, evidence)
    elif key == "dtype":
        pair.name_cause("precision_differs", at_fault, STAGE, 0, evidence)
    elif key == "mask_zero":
        pair.name_cause("mask_ignored", at_fault, STAGE, 0, evidence)
    elif key.endswith("_regularizer"):
        pair.name_cause("regularization_losses_missing", at_fault, "loss", 0, evidence)
    elif key.endswith("_constraint"):
        pair.name_cause("constraints_not_applied", at_fault, "update", 0, evidence)
    elif key == "trainable":
        pair.name_cause("trainable_flags", at_fault, "update", 0, evidence)
    else:
        pair.unexplained.append(
            f"{where} is {observed} in {at_fault} and {correct} on the other side"
        )


def _layers(model: keras.Model) -> list[Any]:
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if layer.weights or hasattr(layer, "rate")
    ]


def _settings(layer: Any) -> tuple[str, dict[str, Any]]:
    try:
        config = dict(layer.get_config())
    except (
        NotImplementedError,
        TypeError,
    ):  # a layer of the user's own that does not describe itself
        config = {"rate": getattr(layer, "rate", None)}
    for key in list(config):
        if key in (
            "name",
            "seed",
            "build_config",
            "batch_shape",
            "layers",
            "input_layers",
            "output_layers",
        ) or key.endswith("initializer"):
            del config[key]
    config["dtype"] = layer.dtype_policy.name
    config["trainable"] = layer.trainable
    return type(layer).__name__, config


def check_forward(pair: Pair) -> None:
    """Replay the forward passes with the flag set and without."""
    pair.ruled_out |= {"training_flag_missing", "dropout_rate_inverted", "precision_differs"}
    flags = {}
    for side in pair.sides:
        flags[side.name] = _read_flag(pair, side)
    for side in pair.sides:
        found, other = flags[side.name], flags[_other(side.name)]
        if (
            found is not None
            and found[0] == "inference"
            and (other is None or other[0] != "inference")
        ):
            _, step, observed, correct = found
            pair.name_cause(
                "training_flag_missing",
                side.name,
                STAGE,
                step,
                shown(
                    "training flag",
                    "not given" if side.steps[step].training is None else side.steps[step].training,
                    False,
                    True,
                ),
                shown("largest output of the step", observed, observed, correct),
            )
    if _half(pair.fit) != _half(pair.loop) and not pair.has("precision_differs"):
        at_fault = FIT if _half(pair.fit) else LOOP
        low = _half(pair.fit) or _half(pair.loop)
        pair.name_cause(
            "precision_differs",
            at_fault,
            STAGE,
            0,
            shown("type of the outputs", low, low, "float32"),
        )


def _read_flag(pair: Pair, side: Side) -> tuple[str, int, float, float] | None:
    """('inference', step, observed, correct) where only a replay without the flag gives the
    outputs; None where both do.
    """
    for number in side.close[:3]:
        step = side.steps[number]
        seen = _outputs(step.outputs)
        rel = LOOSE.get(str(step_dtype(step)), 2e-5)
        with_flag, without = (_outputs(forward(step, flag)) for flag in (True, False))
        if _same(seen, with_flag, rel):
            if not _same(seen, without, rel):
                return ("training", number, 0.0, 0.0)
        elif _same(seen, without, rel):
            return ("inference", number, _peak(seen), _peak(with_flag))
        elif _masked_off(step, seen, rel):
            pair.name_cause(
                "mask_ignored",
                side.name,
                STAGE,
                number,
                shown("largest output", _peak(seen), _peak(seen), _peak(with_flag)),
            )
            return None
        else:
            pair.unexplained.append(
                f"{side.name}: no replay gives the outputs of step {number + 1}"
            )
            return None
    return None


def _masked_off(step: Step, seen: list[np.ndarray], rel: float) -> bool:
    with _without_masks():
        return _same(seen, _outputs(forward(step, True)), rel)


@contextmanager
def _without_masks() -> Iterator[None]:
    original = keras.layers.Embedding.compute_mask
    keras.layers.Embedding.compute_mask = lambda self, inputs, mask=None: None
    try:
        yield
    finally:
        keras.layers.Embedding.compute_mask = original


def forward(step: Step, training: bool | None, keep: bool = False) -> Any:
    """The model's outputs from the weights before a step; the model is left as it was unless
    `keep`.
    """
    assert step.before is not None
    with weights_of(step.model, step.before, keep):
        return call_model(step.model, step.inputs, training)


def call_model(model: keras.Model, inputs: Any, training: bool | None) -> Any:
    """Call a model with a flag, also one whose `call` takes none."""
    try:
        return model(inputs, training=training)
    except TypeError:
        return model(inputs)


@contextmanager
def weights_of(model: keras.Model, weights: Arrays, keep: bool = False) -> Iterator[None]:
    """Put weights in for a while."""
    before = [value_of(variable) for variable in model.variables]
    for variable, value in zip(model.variables, weights, strict=True):
        variable.assign(value)
    try:
        yield
    finally:
        if not keep:
            for variable, value in zip(model.variables, before, strict=True):
                variable.assign(value)


def step_dtype(step: Step) -> str:
    """The type the model computes in."""
    return str(step.model.dtype_policy.compute_dtype)


def _half(side: Side) -> str | None:
    names = {
        str(t.dtype).replace("<dtype: '", "").replace("'>", "")
        for t in keras.tree.flatten(side.steps[0].outputs)
    }
    return next((name for name in names if name in LOOSE), None)


def _outputs(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(keras.ops.cast(t, "float32")) for t in keras.tree.flatten(outputs)]


def _same(a: list[np.ndarray], b: list[np.ndarray], rel: float) -> bool:
    return len(a) == len(b) and all(close_to(x, y, rel) for x, y in zip(a, b, strict=True))


def _peak(arrays: list[np.ndarray]) -> float:
    return max(float(np.abs(array).max()) for array in arrays)


def _other(name: str) -> str:
    return LOOP if name == FIT else FIT
