"""What a phase of a training takes over from those before it: weights, and the optimizer's state.

Each phase is looked at from a start that both sides are given. So it is noted first whether both
had come to it in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.optimizer_config import config_of
from twintrain.diagnosis.scripts.loop_marks import Key
from twintrain.diagnosis.watch.trace import Arrays
from twintrain.diagnosis.watch.weight_order import counted_weights

# Of the way that a phase has gone; weights made anew are much farther off.
_ON_THE_WAY = 2.0


@dataclass(frozen=True)
class TakenOver:
    """What a phase began with.

    Attributes:
        weights: places, among the counted weights of its model, of those an earlier phase left;
            None where it was not seen to begin.
        optimizers: of the earlier phases, that had a state: how many there were, and with how many
            of them it went on.
    """

    weights: frozenset[int] | None
    optimizers: tuple[int, int]


@dataclass
class Inherited:
    """Notes it in a run of a program.

    Attributes:
        earlier: place and ordinal of what trains in the phases before.
        shapes: of all weights of the model that is trained in this one, in any order.
    """

    earlier: frozenset[tuple[Key, int]] = frozenset()
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    _models: list[keras.Model] = field(default_factory=list)
    _begun: bool = False
    _model: keras.Model | None = None
    _weights: frozenset[int] | None = None
    _variables: dict[int, tuple[Any, np.ndarray]] = field(default_factory=dict)
    _left: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    _optimizers: list[keras.Optimizer] = field(default_factory=list)
    _used: int = 0
    _steps: dict[int, int] = field(default_factory=dict)

    @property
    def models(self) -> list[keras.Model]:
        """Those that the earlier phases trained, and that may be the one of this phase."""
        updated = {id(v) for one in self._optimizers for v in one._trainable_variables}
        found = [model for model in self._models if not updated.isdisjoint(map(id, model.weights))]
        return found if self._optimizers or len(self._models) > 1 else [*self._models]

    def note(self, model: keras.Model) -> None:
        """An earlier phase calls a model; also to be called when it has made its weights."""
        with tf.init_scope():  # it may be traced just now
            for variable in model.weights:
                self._variables.setdefault(id(variable), (variable, _value(variable)))
        if self._fits(model) and all(model is not other for other in self._models):
            self._models.append(model)

    def note_optimizer(self, optimizer: Any) -> None:
        """An earlier phase updates with an optimizer."""
        if isinstance(optimizer, keras.Optimizer) and all(
            optimizer is not other for other in self._optimizers
        ):
            self._optimizers.append(optimizer)

    def end_phase(self) -> None:
        """An earlier phase is over: its weights are what it leaves."""
        self._left = {key: (_value(one), before) for key, (one, before) in self._variables.items()}

    def begin(self, model: keras.Model) -> None:
        """The phase is about to call a model: if it can be the one that is trained, note what of it
        is there already, and set the optimizers' states back to what they are before an update. The
        count of updates stays: the code may have one of its own, and each side has made one.
        """
        if not self.earlier or self._begun or not self._fits(model):
            return
        self._begun, self._model = True, model
        with tf.init_scope():
            self._weights = self._known_in(model)
            self._optimizers = [one for one in self._optimizers if _updates(one)]
            self._used = sum(map(_has_state, self._optimizers))
            self._steps = {id(one): _updates(one) for one in self._optimizers}
            for optimizer in self._optimizers:
                _set_back(optimizer)

    def _known_in(self, model: keras.Model) -> frozenset[int] | None:
        """Places of the weights that an earlier phase left; None where none has moved anything, by
        which that could be known.
        """
        if all(_key(left) == _key(before) for left, before in self._left.values()):
            return None
        known = {_key(left) for left, _ in self._left.values()}
        values = [(id(weight), _value(weight)) for weight in model.weights]
        return frozenset(
            place
            for place, (name, value) in enumerate(values)
            if _key(value) in known or self._is_on_the_way(name, value)
        )

    def closed(self) -> TakenOver:
        """What was noted, when the phase is over; lets go of its models."""
        stateful = [one for one in self._optimizers if _has_state(one)] if self._used else []
        again = sum(_updates(one) > self._steps[id(one)] for one in stateful)
        weights = self._weights
        if weights is not None and self._model is not None:
            weights = _as_counted(self._model, weights)
        self._model = None
        for noted in (self._variables, self._left, self._optimizers, self._models):
            noted.clear()
        return TakenOver(weights, (self._used, again))

    def _fits(self, model: keras.Model) -> bool:
        return sorted(tuple(w.shape) for w in model.weights) == sorted(self.shapes)

    def _is_on_the_way(self, name: int, value: np.ndarray) -> bool:
        """Whether a weight is an average on the way that a phase has gone, as where one is written
        back behind a loop; not where it is what it was before that phase.
        """
        if name not in self._left:
            return False
        left, before = self._left[name]
        if _key(value) == _key(before) or value.dtype.kind != "f":
            return False
        way = float(np.linalg.norm(left.astype(np.float64) - before))
        return float(np.linalg.norm(value.astype(np.float64) - left)) < _ON_THE_WAY * way


def _as_counted(model: keras.Model, places: frozenset[int]) -> frozenset[int]:
    """Places in `model.weights` as places among its weights in the order in which these are
    counted: two models have one order only by then.
    """
    weights = model.weights
    known = {id(weight) for weight in weights}
    counted = [id(one) for one in counted_weights(model) if id(one) in known]
    if len(counted) != len(weights):
        return places
    return frozenset(counted.index(id(weights[place])) for place in places)


def _value(variable: Any) -> np.ndarray:
    return np.array(tf.convert_to_tensor(variable))


def _key(value: np.ndarray) -> tuple[tuple[int, ...], str, bytes]:
    return value.shape, value.dtype.str, value.tobytes()


def _updates(optimizer: keras.Optimizer) -> int:
    """So far, each batch counted where gradients are added up over several."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return int(_value(inner._iterations))


def _has_state(optimizer: keras.Optimizer) -> bool:
    """Whether an update depends on those before it."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scheduled = isinstance(inner._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    own = [one for one in inner.variables if one is not inner._learning_rate]
    return scheduled or len(own) > 1  # beside the count of updates


def _set_back(optimizer: keras.Optimizer) -> None:
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    kept = {id(inner._learning_rate), id(inner._iterations)}  # a rate may have been changed since
    for variable, value in zip(optimizer.variables, _fresh(optimizer), strict=True):
        if id(variable) not in kept:
            variable.assign(value)


def _fresh(optimizer: keras.Optimizer) -> Arrays:
    """The state of an optimizer that was just made."""
    now = [_value(variable) for variable in optimizer.variables]
    try:
        like = type(optimizer).from_config(config_of(optimizer))
        like.build(optimizer._trainable_variables)
        found = [_value(variable) for variable in like.variables]
    except Exception:  # whatever an optimizer of the user's own raises
        found = []
    if [value.shape for value in found] == [value.shape for value in now]:
        return found
    return [np.zeros_like(value) for value in now]
