"""The weights of a training at each pass over data, and at each end of an epoch that somebody saw,
noted without slowing it: its graphs run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.recording import Enough
from twintrain.diagnosis.watch.seams import Nesting, dataset_iterator, family, wrapped
from twintrain.diagnosis.watch.trace import Arrays, snapshot, value_of
from twintrain.diagnosis.watch.weight_order import counted_weights

_SCHEDULE = keras.optimizers.schedules.LearningRateSchedule


class Milestones:
    """Distinct states of the weights of the model that is trained, in order.

    Args:
        model: the one the training is given; if it trains another, that one is followed.
        most: epochs after which the training is stopped with `Enough`; 0 for none.

    Attributes:
        model: the one that was trained.
        states: all of its variables at the start and after each epoch.
        kept: what it ended with.
        rates: learning rates of the optimizers in the epoch after each of these states, in the
            order of their first updates: of `fit` as they were when it began, of a loop as they
            were looked at last, which may be before it changed them.
        scheduled: one of the rates is a schedule over steps.
        schedule: the one of the only optimizer; None where it has none, or where there are several.
        updates: that the only optimizer counted; 0 where there is none, or several, or one that
            takes several batches for each.
        counts: updates the optimizer the model was compiled with had counted at each of these;
            empty where it was not compiled.
        calls: of `tf.function`s, each in another one left out.
        asked: epochs it was asked for; 0 where nobody said.
        stopped: after `most` epochs; what it ended with is not what it would have kept.
    """

    def __init__(self, model: keras.Model, most: int = 0) -> None:
        self.model = model
        self.states: list[Arrays] = []
        self.kept: Arrays = []
        self.rates: list[tuple[float, ...]] = []
        self.counts: list[int] = []
        self.scheduled = False
        self.schedule: Callable[[int], Any] | None = None
        self.updates = 0
        self.calls = 0
        self.asked = 0
        self.stopped = False
        self._most = most
        self._seen: dict[int, tuple[keras.Model, list[Arrays]]] = {}
        self._rates: dict[int, list[tuple[float, ...]]] = {}
        self._optimizers: dict[int, keras.Optimizer] = {}
        self._layers, self._functions, self._updates = Nesting(), Nesting(), Nesting()
        self._averaged = self._ended = False
        self._follow(model)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Note states within this context."""
        with ExitStack() as stack:
            stack.enter_context(wrapped(dataset_iterator(), "__init__", self._pass))
            stack.enter_context(wrapped(keras.layers.Layer, "__call__", self._call))
            callbacks = keras.callbacks.CallbackList
            stack.enter_context(wrapped(callbacks, "on_epoch_begin", self._epoch_begins))
            function = type(tf.function(lambda: None))
            stack.enter_context(wrapped(function, "__call__", self._function))
            for owner in family(keras.optimizers.Optimizer):
                if "apply" in owner.__dict__:
                    stack.enter_context(wrapped(owner, "apply", self._apply))
                if "finalize_variable_values" in owner.__dict__:
                    stack.enter_context(wrapped(owner, "finalize_variable_values", self._finalize))
            yield

    def begin(self) -> None:
        """The training begins only now: what was seen before is none of it."""
        for kept in (self._seen, self._rates, self._optimizers):
            kept.clear()
        self.counts.clear()

    def adopt(self, model: keras.Model) -> None:
        """Take a model for the one the training was given."""
        self.model = model
        self._follow(model)

    def end_epoch(self, last: bool = False) -> None:
        """An epoch was seen to end, maybe of a loop that passes over no data set.

        Args:
            last: the training ends with it; what is made of the weights afterwards (an average that
                is written back, say) is kept, but no epoch.

        Raises:
            Enough: as many epochs as are asked for have ended.
        """
        self._note()
        self._ended = last
        if (
            self._most
            and not last
            and any(len(states) > self._most for _, states in self._seen.values())
        ):
            self.stopped = True
            raise Enough

    def end(self, returned: keras.Model | None) -> None:
        """Take the last state, and choose the model that moved most often."""
        if not self._seen:
            self._follow(self.model)
        if not self._averaged and not self._ended:
            self._note()
        self.model, self.states = max(self._seen.values(), key=lambda found: len(found[1]))
        self.rates = self._rates[id(self.model)]
        own = [getattr(one, "inner_optimizer", one) for one in self._optimizers.values()]
        rates = [getattr(one, "_learning_rate", None) for one in own]
        self.scheduled = any(isinstance(rate, _SCHEDULE) for rate in rates)
        if len(rates) == 1:
            (optimizer,) = own
            self.schedule = rates[0] if self.scheduled else None
            several = getattr(optimizer, "gradient_accumulation_steps", None)
            self.updates = 0 if several else int(value_of(optimizer.iterations))
        self.kept = snapshot(returned or self.model)

    @property
    def epochs(self) -> int:
        """Epochs trained: how often the weights were found changed, restoring earlier ones not
        counted.
        """
        return len(self.states) - 1

    def _follow(self, model: keras.Model) -> None:
        if id(model) not in self._seen and model.built and model.trainable_variables:
            self._seen[id(model)] = (model, [_values(model)])
            self._rates[id(model)] = [()]

    def _pass(self, original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if not self._ended:
            self.end_epoch()
        return original(*arguments, **named)

    def _epoch_begins(
        self, original: Callable[..., Any], callbacks: Any, *arguments: Any, **named: Any
    ) -> Any:
        result = original(callbacks, *arguments, **named)
        for rates in self._rates.values():
            rates[-1] = self._rates_now()
        return result

    def _apply(
        self, original: Callable[..., Any], optimizer: Any, *arguments: Any, **named: Any
    ) -> Any:
        if self._updates.outermost:
            self._optimizers.setdefault(id(optimizer), optimizer)
        with self._updates:
            return original(optimizer, *arguments, **named)

    def _call(self, original: Callable[..., Any], layer: Any, *arguments: Any, **named: Any) -> Any:
        if self._layers.outermost and isinstance(layer, keras.Model):
            self._follow(layer)
        with self._layers:
            return original(layer, *arguments, **named)

    def _function(
        self, original: Callable[..., Any], function: Any, *arguments: Any, **named: Any
    ) -> Any:
        self.calls += self._functions.outermost
        with self._functions:
            return original(function, *arguments, **named)

    def _finalize(self, original: Callable[..., Any], optimizer: Any, variables: Any) -> Any:
        self._note()
        # What follows averaging is no epoch's own state.
        self._averaged = bool(getattr(optimizer, "use_ema", False))
        return original(optimizer, variables)

    def _note(self) -> None:
        for key, (model, states) in self._seen.items():
            now = _values(model)
            if not any(_same(now, state, model) for state in states):
                states.append(now)
                self._rates[key].append(())
                self._count(model)
            # Of a loop the last look before the next epoch ends is the nearest one there is.
            self._rates[key][-1] = self._rates_now()

    def _count(self, model: keras.Model) -> None:
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and model is self.model:
            with tf.init_scope():
                self.counts.append(int(value_of(optimizer.iterations)))

    def _rates_now(self) -> tuple[float, ...]:
        """The rates; none where one of them is not to be read, or only by code of the user's."""
        try:
            with tf.init_scope():
                return tuple(map(_rate_of, self._optimizers.values()))
        except Exception:  # of an optimizer of the user's own
            return ()


def _rate_of(optimizer: keras.Optimizer) -> float:
    """The learning rate.

    Raises:
        TypeError: it is a function of the user's, which may count its calls.
    """
    own = getattr(optimizer, "_learning_rate", None)
    if callable(own) and not isinstance(own, (keras.Variable, _SCHEDULE)):
        raise TypeError(own)
    return float(value_of(optimizer.learning_rate))


def _values(model: keras.Model) -> Arrays:
    with tf.init_scope():  # also while a graph is being traced
        return snapshot(model)


def _same(a: Arrays, b: Arrays, model: keras.Model) -> bool:
    """Whether the trainable variables are equal."""
    kept = {id(variable) for variable in model.trainable_variables}
    chosen = [i for i, variable in enumerate(counted_weights(model)) if id(variable) in kept]
    return len(a) == len(b) and all(
        np.array_equal(a[i], b[i], equal_nan=a[i].dtype.kind == "f") for i in chosen
    )
