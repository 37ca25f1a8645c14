"""The two trained models, setting by setting, before anything is run."""

from __future__ import annotations

from typing import Any

import keras

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.tolerances import SAME_RATE
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP

Settings = dict[str, Any]
# Names, what random numbers are drawn from, what only says how a layer was built, and what a stage
# of its own reads.
_ASIDE = {
    "name",
    "seed",
    "build_config",
    "batch_shape",
    "layers",
    "input_layers",
    "output_layers",
    "stateful",
}

# Characters of a setting that are shown.
_LONGEST = 80


@looks_for("dropout_rate_inverted", "precision_differs")
def check_models(pair: Pair) -> bool:
    """Compare the settings of the two trained models, layer by layer."""
    notes: list[str] = []
    fit, loop = (_settings_of(side.steps[0].model, notes) for side in pair.sides)
    pair.findings.notes += [n for n in dict.fromkeys(notes) if n not in pair.findings.notes]
    if [kind for kind, _ in fit] != [kind for kind, _ in loop]:
        pair.findings.unexplained.append("the two sides train models of different layers")
        return True
    built = _settings_of(pair.subject.functions["build_model"](), [])
    for number, ((kind, ours), (_, theirs)) in enumerate(zip(fit, loop, strict=True)):
        known = number < len(built) and built[number][0] == kind
        _compare(pair, kind, ours, theirs, built[number][1] if known else {})
    return True


def _compare(pair: Pair, kind: str, fit: Settings, loop: Settings, built: Settings) -> None:
    """Name what differs in one layer; the side that is not as `build_model` made it departs."""
    for key in sorted(set(fit) | set(loop)):
        ours, theirs = fit.get(key), loop.get(key)
        if ours == theirs:
            continue
        # Freezing is no mistake by itself: the loop is held against fit.
        if theirs == built.get(key) and key != "trainable":
            _name_setting(pair, f"{kind}.{key}", key, FIT, ours, theirs)
        else:
            _name_setting(pair, f"{kind}.{key}", key, LOOP, theirs, ours)


def _name_setting(
    pair: Pair, where: str, key: str, at_fault: str, observed: Any, correct: Any
) -> None:
    id_ = _pitfall_of(key, observed, correct)
    if id_ is None:
        pair.findings.unexplained.append(
            f"{where} is {_short(observed)} in {at_fault} and {_short(correct)} on the other side"
        )
        return
    # A mask acts in the layers before it acts in the loss.
    stage = Stage.FORWARD if id_ == "mask_ignored" else None
    pair.findings.name_cause(id_, at_fault, 0, by_reading(where, observed, correct), stage=stage)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _pitfall_of(key: str, observed: Any, correct: Any) -> str | None:
    """The pitfall that another value of a setting is; None where it is none."""
    by_key = {
        "dtype": "precision_differs",
        "mask_zero": "mask_ignored",
        "trainable": "trainable_flags",
    }
    if key in by_key:
        return by_key[key]
    if key.endswith("_regularizer"):
        return "regularization_losses_missing"
    if key.endswith("_constraint"):
        return "constraints_not_applied"
    rates = isinstance(observed, float) and isinstance(correct, float)
    if key == "rate" and rates and abs(observed + correct - 1) < SAME_RATE:
        return "dropout_rate_inverted"
    return None


def _settings_of(model: keras.Model, notes: list[str]) -> list[tuple[str, Settings]]:
    """Kind and settings of every layer that has weights or a rate; what fails in a layer's own
    description of itself is noted.
    """
    layers = model._flatten_layers(include_self=False)
    return [
        (type(layer).__name__, _settings(layer, notes))
        for layer in layers
        if layer.weights or hasattr(layer, "rate")
    ]


def _settings(layer: Any, notes: list[str]) -> Settings:
    try:
        config = dict(layer.get_config())
    except Exception as error:
        if not _does_not_describe_itself(error):
            kind = type(layer).__name__
            notes.append(f"Settings of {kind} were not compared: its get_config raises {error!r}.")
        config = {"rate": getattr(layer, "rate", None)}
    kept: Settings = _without_names(config)
    return kept | {"dtype": layer.dtype_policy.name, "trainable": layer.trainable}


def _does_not_describe_itself(error: Exception) -> bool:
    """Whether a layer of the user's own cannot be described: it says so, or holds what Keras cannot
    write down, for which Keras itself raises a TypeError. Anything else is a mistake in its code.
    """
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    raised_in = "" if last is None else last.tb_frame.f_globals.get("__name__", "")
    of_keras = isinstance(error, TypeError) and raised_in.partition(".")[0] == "keras"
    return of_keras or isinstance(error, NotImplementedError)


def _without_names(value: Any) -> Any:
    """Settings, and those of what a layer wraps, without what is set aside."""
    if isinstance(value, dict):
        return {
            key: _without_names(part)
            for key, part in value.items()
            if key not in _ASIDE and not str(key).endswith("initializer")
        }
    if isinstance(value, (list, tuple)):
        return [_without_names(part) for part in value]
    return value


CHECKS = (check_models,)
