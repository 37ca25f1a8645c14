"""The two trained models, setting by setting, before anything is run."""

from __future__ import annotations

from typing import Any

import keras

from twintrain.diagnosis.stages.layer_settings import LAYERS, tell
from twintrain.diagnosis.stages.pair import LayerSetting, Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.diagnosis.watch.weight_order import counted_layers

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
# Settings of which a step does not show enough: what may change, and how, what is drawn at random,
# what is small beside the outputs, or acts only when a weight comes to its limit.
_NOT_SEEN = {
    *("trainable", "dtype", "momentum", "epsilon"),
    *("rate", "dropout", "recurrent_dropout", "stddev"),
}


@looks_for("dropout_rate_inverted", "precision_differs")
def check_models(pair: Pair) -> bool:
    """Compare the settings of the two trained models, layer by layer.

    One side may set on a layer what the other does by hand (a penalty in its loss, an activation
    behind the layer): where the replayed steps show whether it does, that is left to them.
    """
    notes: list[str] = []
    fit, loop = (_settings_of(side.steps[0].model, notes) for side in pair.sides)
    pair.findings.notes += [n for n in dict.fromkeys(notes) if n not in pair.findings.notes]
    kinds = [", ".join(kind for kind, _ in settings) for settings in (loop, fit)]
    if kinds[0] != kinds[1]:
        pair.settings.append(LayerSetting("layers", LAYERS, LOOP, *kinds))
    if len(fit) != len(loop):
        return True
    built = _settings_of(pair.subject.functions["build_model"](), [])
    for number, ((kind, ours), (other, theirs)) in enumerate(zip(fit, loop, strict=True)):
        known = number < len(built) and built[number][0] == kind
        if kind == other:
            _compare(pair, kind, ours, theirs, built[number][1] if known else {})
    return True


def _compare(pair: Pair, kind: str, fit: Settings, loop: Settings, built: Settings) -> None:
    """Tell what differs in one layer; the side that is not as `build_model` made it departs."""
    for key in sorted(set(fit) | set(loop)):
        ours, theirs = fit.get(key), loop.get(key)
        if ours == theirs:
            continue
        # Freezing is no mistake by itself: the loop is held against fit.
        if theirs == built.get(key) and key != "trainable":
            setting = LayerSetting(f"{kind}.{key}", key, FIT, ours, theirs)
        else:
            setting = LayerSetting(f"{kind}.{key}", key, LOOP, theirs, ours)
        if key in _NOT_SEEN or key.endswith("_constraint"):
            tell(pair, setting)
        else:
            pair.settings.append(setting)


def _settings_of(model: keras.Model, notes: list[str]) -> list[tuple[str, Settings]]:
    """Kind and settings of every layer that has weights or a rate; what fails in a layer's own
    description of itself is noted.
    """
    return [
        (type(layer).__name__, _settings(layer, notes))
        for layer in counted_layers(model)
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
