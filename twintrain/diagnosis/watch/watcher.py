"""Watches a training from outside: the function under watch is not read, not changed, and need not
know.

While the watch is on, `tf.function` bodies run as plain Python (`tf.config.run_functions_eagerly`),
so everything that passes through a model, a loss, a tape, an optimizer, a metric or a data-set
iterator can be seen as it is. The seams are methods of Keras's and TensorFlow's own classes; each
is put back when the watch ends, whatever happened.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.trace import (
    Applied,
    Evaluation,
    FitCall,
    LossCall,
    MetricEvent,
    Step,
    Trace,
    snapshot,
    value_of,
)


class Enough(BaseException):
    """Raised inside the watched function when enough was seen; not an `Exception`, so that nobody
    catches it.
    """


class WatchError(BaseException):
    """Watching itself failed, through no fault of the code under watch; not an `Exception` for the
    same reason.
    """


class Watch:
    """Fills a trace while it is on.

    Args:
        trace: what to fill.
        close: how many steps from each boundary on keep their weights and optimizer state.
        most: steps after which the function is stopped with `Enough`.
        until: the same, on the clock of `time.monotonic`.
    """

    def __init__(self, trace: Trace, close: int, most: int, until: float) -> None:
        self.trace = trace
        self._close, self._most, self._until = close, most, until
        self._tapes = 0
        self._depth = {"layer": 0, "loss": 0, "optimizer": 0, "metric": 0, "fit": 0}
        self._element: Any = None
        self._since_boundary = 0
        self._variables: dict[int, int] = {}

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch within this context."""
        with ExitStack() as stack:
            eager = tf.config.functions_run_eagerly()
            stack.callback(tf.config.run_functions_eagerly, eager)
            for owner, method, seam in self._seams():
                stack.enter_context(wrapped(owner, method, seam))
            tf.config.run_functions_eagerly(True)
            try:
                yield
            finally:
                self.finish_step()

    def finish_step(self) -> None:
        """Take the weights after the last step; they are complete only when the next thing begins."""
        if not self.trace.steps or self.trace.steps[-1].after is not None:
            return
        step = self.trace.steps[-1]
        step.after = snapshot(step.model)
        if step.applied is not None:
            step.optimizer_after = [value_of(v) for v in step.applied.optimizer.variables]
        previous = self.trace.steps[-2] if len(self.trace.steps) > 1 else None
        if previous is not None and previous.before is None and not previous.boundary:
            previous.after, previous.optimizer_after = None, None

    def _seams(self) -> list[tuple[type, str, Callable[..., Any]]]:
        from tensorflow.python.data.ops.iterator_ops import (
            OwnedIterator,
        )  # the class every `iter(dataset)` gives

        seams: list[tuple[type, str, Callable[..., Any]]] = [
            (keras.layers.Layer, "__call__", self._layer),
            (keras.losses.Loss, "__call__", self._loss),
            (tf.GradientTape, "__enter__", self._open_tape),
            (tf.GradientTape, "__exit__", self._close_tape),
            (tf.GradientTape, "gradient", self._gradient),
            (_owner(keras.Model, "fit"), "fit", self._fit),
            (type(tf.function(lambda: None)), "__call__", self._function),
            (OwnedIterator, "_next_internal", self._next),
            (OwnedIterator, "get_next_as_optional", self._next_optional),
            (OwnedIterator, "__init__", self._iteration),
        ]
        for owner in family(keras.optimizers.Optimizer):
            seams += [(owner, "apply", self._apply), (owner, "scale_loss", self._scale)]
            seams += [(owner, "finalize_variable_values", self._finalize)]
        for owner in family(keras.metrics.Metric):
            seams += [
                (owner, name, self._metric(name))
                for name in ("update_state", "reset_state", "result")
            ]
        return [seam for seam in seams if seam[1] in seam[0].__dict__]

    def _check(self) -> None:
        if len(self.trace.steps) >= self._most or time.monotonic() > self._until:
            raise Enough

    # Data

    def _iteration(self, original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._check()
        if self.trace.steps:
            self.finish_step()
            self.trace.steps[-1].boundary = True
            self._since_boundary = 0
        return original(*arguments, **named)

    def _next(self, original: Callable[..., Any], iterator: Any) -> Any:
        if time.monotonic() > self._until:
            raise Enough
        element = original(iterator)
        if tf.executing_eagerly():
            self._element = element
        return element

    def _next_optional(self, original: Callable[..., Any], iterator: Any) -> Any:
        found = original(iterator)
        if tf.executing_eagerly() and bool(found.has_value()):
            self._element = found.get_value()
        return found

    # Model and loss

    def _layer(
        self, original: Callable[..., Any], layer: Any, *arguments: Any, **named: Any
    ) -> Any:
        inputs = arguments[0] if arguments else next(iter(named.values()), None)
        tensors = keras.tree.flatten(inputs)
        watched = (
            self._depth["layer"] == 0
            and isinstance(layer, keras.Model)
            and all(map(_concrete, tensors))
        )
        if not watched or (layer.built and not layer.trainable_variables):
            self._depth["layer"] += 1
            try:
                return original(layer, *arguments, **named)
            finally:
                self._depth["layer"] -= 1
        self._check()
        self.finish_step()
        before = snapshot(layer) if layer.built else None
        self._depth["layer"] += 1
        try:
            outputs = original(layer, *arguments, **named)
        finally:
            self._depth["layer"] -= 1
        if before is None or len(before) != len(layer.variables):
            before = snapshot(layer)  # its weights were made by this very call
        self._seen(layer, inputs, _flag(layer, arguments, named), outputs, before)
        return outputs

    def _seen(
        self, model: keras.Model, inputs: Any, flag: bool | None, outputs: Any, before: Any
    ) -> None:
        trace = self.trace
        if not self._tapes:
            first = not trace.evaluations or trace.evaluations[-1].position != len(trace.steps)
            kept = before if first else None
            trace.evaluations.append(
                Evaluation(len(trace.steps), model, inputs, flag, outputs, self._element, kept)
            )
            return
        if trace.steps and trace.steps[-1].target is None:
            trace.steps.pop()  # a forward pass under a tape that nothing was asked of
        added = float(sum(float(loss) for loss in model.losses)) if model.losses else 0.0
        step = Step(model, inputs, flag, outputs, self._element, added)
        if self._since_boundary < self._close:
            step.before = before
        self._since_boundary += 1
        trace.steps.append(step)

    def _loss(self, original: Callable[..., Any], loss: Any, *arguments: Any, **named: Any) -> Any:
        if (
            self._tapes
            and self._depth["loss"] == 0
            and self.trace.steps
            and self.trace.steps[-1].target is None
        ):
            weights = arguments[2] if len(arguments) > 2 else named.get("sample_weight")
            self.trace.steps[-1].losses.append(LossCall(loss, weights))
        with self._deeper("loss"):
            return original(loss, *arguments, **named)

    # Tape and optimizer

    def _open_tape(self, original: Callable[..., Any], tape: Any) -> Any:
        self._tapes += 1
        return original(tape)

    def _close_tape(self, original: Callable[..., Any], tape: Any, *arguments: Any) -> Any:
        self._tapes -= 1
        return original(tape, *arguments)

    def _gradient(
        self, original: Callable[..., Any], tape: Any, target: Any, sources: Any, **named: Any
    ) -> Any:
        gradients = original(tape, target, sources, **named)
        if not self.trace.steps or not tf.executing_eagerly():
            return gradients
        step = self.trace.steps[-1]
        flat = tf.nest.flatten(sources)
        found = [_array(gradient) for gradient in _flatten_gradients(gradients, len(flat))]
        known = self._positions(step.model)
        positions = [known.get(_identity(source), -1) for source in flat]
        if max(positions, default=-1) < 0 or step.applied is not None:
            return gradients  # by the inputs, say, for a penalty
        tensors = [tf.convert_to_tensor(t) for t in tf.nest.flatten(target)]
        value = float(sum(float(tf.reduce_sum(tf.cast(t, tf.float32))) for t in tensors)) / (
            step.scale or 1.0
        )
        if step.target is None:
            step.target, step.sources, step.gradients = value, positions, found
        elif step.sources == positions:  # a loss in parts, each differentiated by itself
            step.target += value
            step.gradients = [_sum(a, b) for a, b in zip(step.gradients, found, strict=True)]
        return gradients

    def _scale(self, original: Callable[..., Any], optimizer: Any, loss: Any) -> Any:
        with self._deeper("optimizer"):
            scaled = original(optimizer, loss)
        if self._depth["optimizer"] == 0 and self.trace.steps and _concrete(loss):
            value = float(tf.reduce_sum(tf.cast(loss, tf.float32)))
            self.trace.steps[-1].scale = (
                float(tf.reduce_sum(tf.cast(scaled, tf.float32))) / value if value else 1.0
            )
        return scaled

    def _apply(
        self,
        original: Callable[..., Any],
        optimizer: Any,
        grads: Any,
        trainable_variables: Any = None,
    ) -> Any:
        outermost = (
            self._depth["optimizer"] == 0 and bool(self.trace.steps) and tf.executing_eagerly()
        )
        grads = list(grads)
        variables = list(trainable_variables) if trainable_variables is not None else None
        if outermost and self.trace.steps[-1].applied is None:
            step = self.trace.steps[-1]
            if not optimizer.built:
                optimizer.build(variables or step.model.trainable_variables)
            positions = self._positions(step.model)
            known = variables if variables is not None else step.model.trainable_variables
            step.applied = Applied(
                optimizer,
                float(value_of(optimizer.learning_rate)),
                [_array(gradient) for gradient in grads],
                [positions.get(_identity(variable), -1) for variable in known],
                [value_of(variable) for variable in optimizer.variables]
                if step.before is not None
                else [],
                int(value_of(optimizer.iterations)),
            )
        with self._deeper("optimizer"):
            done = original(optimizer, grads, variables)
        if outermost and (applied := self.trace.steps[-1].applied) is not None:
            applied.after = snapshot(self.trace.steps[-1].model)
            if len(self.trace.steps) > 1 and (previous := self.trace.steps[-2].applied) is not None:
                previous.after = []  # only the last is asked for
        return done

    def _finalize(self, original: Callable[..., Any], optimizer: Any, variables: Any) -> Any:
        self.finish_step()  # averaging the weights is no part of the last step
        return original(optimizer, variables)

    # Metrics and fit

    def _metric(self, kind: str) -> Callable[..., Any]:
        def seam(original: Callable[..., Any], metric: Any, *arguments: Any, **named: Any) -> Any:
            outermost = self._depth["metric"] == 0
            with self._deeper("metric"):
                value = original(metric, *arguments, **named)
            if outermost and tf.executing_eagerly():
                number = None
                if kind == "result" and _concrete(value) and value.shape == ():
                    number = float(value)
                self.trace.metrics.append(MetricEvent(len(self.trace.steps), metric, kind, number))
            return value

        return seam

    def _function(
        self, original: Callable[..., Any], function: Any, *arguments: Any, **named: Any
    ) -> Any:
        self.trace.compiled |= bool(getattr(function, "_jit_compile", None))
        return original(function, *arguments, **named)

    def _fit(self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any) -> Any:
        if not _fits(original, (model, *arguments), named):
            return original(model, *arguments, **named)  # which says what is wrong with the call
        given = inspect.signature(original).bind(model, *arguments, **named).arguments
        call = FitCall(model, given)
        self.trace.fits.append(call)
        history = original(model, *arguments, **named)
        call.history = {
            name: [float(v) for v in values] for name, values in history.history.items()
        }
        return history

    @contextmanager
    def _deeper(self, what: str) -> Iterator[None]:
        self._depth[what] += 1
        try:
            yield
        finally:
            self._depth[what] -= 1

    def _positions(self, model: keras.Model) -> dict[int, int]:
        return {_identity(variable): index for index, variable in enumerate(model.variables)}


def _flag(layer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> bool | None:
    if "training" in named:
        given = named["training"]
    else:
        try:
            bound = inspect.signature(layer.call).bind_partial(*arguments, **named)
        except TypeError:
            return None
        bound.apply_defaults()
        given = bound.arguments.get("training")
    return None if given is None else bool(given)


def _concrete(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic, float, int)) or (
        tf.is_tensor(value) and hasattr(value, "numpy")
    )


def _identity(variable: Any) -> int:
    return id(getattr(variable, "_value", variable))


def _sum(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    return b if a is None else a if b is None else a + b


def _array(gradient: Any) -> np.ndarray | None:
    return None if gradient is None else np.array(tf.convert_to_tensor(gradient))


def _flatten_gradients(gradients: Any, count: int) -> list[Any]:
    # Not tf.nest: it would take an IndexedSlices (the gradient of an embedding) apart.
    if isinstance(gradients, dict):
        return list(gradients.values())
    return list(gradients) if isinstance(gradients, (list, tuple)) else [gradients] * min(count, 1)


def _owner(kind: type, method: str) -> type:
    """The class that defines a method `kind` has."""
    return next(base for base in kind.__mro__ if method in base.__dict__)


def family(kind: type) -> list[type]:
    """A class, its bases below `object`, and all its subclasses."""
    found: dict[type, None] = {
        base: None for base in kind.__mro__ if base.__module__.startswith("keras")
    }
    queue = [kind]
    while queue:
        below: list[type] = queue.pop().__subclasses__()
        found |= dict.fromkeys(below)
        queue += below
    return list(found)


@contextmanager
def wrapped(owner: type, method: str, seam: Callable[..., Any]) -> Iterator[None]:
    """Let `seam(original, *arguments)` stand for a method of a class, until the context ends.

    What `original` raises passes through. What the seam itself raises becomes a `WatchError`, lest
    it be taken for a failure of the code under watch.
    """
    original = owner.__dict__[method]

    @functools.wraps(original)
    def called(*arguments: Any, **named: Any) -> Any:
        try:
            return original(*arguments, **named)
        except Exception as error:
            error.__dict__["of_the_original"] = True
            raise

    @functools.wraps(original)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        try:
            return seam(called, *arguments, **named)
        except Exception as error:
            if "of_the_original" in error.__dict__ or not _fits(original, arguments, named):
                raise
            raise WatchError(
                f"Twintrain failed to watch {owner.__name__}.{method}: {error!r}"
            ) from error

    setattr(owner, method, wrapper)
    try:
        yield
    finally:
        setattr(owner, method, original)


def _fits(function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(*arguments, **named)
    except TypeError:
        return False
    return True
