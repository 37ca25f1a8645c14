"""What was seen of one training: its steps, evaluations, metrics and end."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.places import Source, Spot
from twintrain.diagnosis.watch.shared_arrays import shared
from twintrain.diagnosis.watch.weight_order import counted_weights

Arrays = list[np.ndarray]
FIT, LOOP = "keras_fit", "custom_loop"
SIDES = (FIT, LOOP)


class SlicedGradient(np.ndarray):
    """The gradient of an embedding, dense, which remembers the slices it was handed over as.

    An optimizer that squares gradients squares each slice: of a row that a batch takes twice, that
    is not the square of the sum. What is computed from it is an ordinary dense gradient.
    """

    slices: tf.IndexedSlices | None = None

    def __array_finalize__(self, origin: Any) -> None:
        self.slices = None


def gradient_array(gradient: Any) -> np.ndarray | None:
    """A gradient as an array; None where there is none."""
    if gradient is None:
        return None
    dense = shared(np.array(tf.convert_to_tensor(gradient)))
    if not isinstance(gradient, tf.IndexedSlices):
        return dense
    found = dense.view(SlicedGradient)
    found.slices = gradient
    return found


@dataclass
class LossCall:
    """One call of a Keras loss object."""

    loss: keras.Loss
    weights: Any
    targets: Any = None
    at: Spot | None = None


@dataclass
class Applied:
    """One call of an optimizer.

    Attributes:
        optimizer: the object; its settings do not change while it trains, its learning rate may.
        learning_rate: before the update.
        gradients: as passed to it, None where a variable has none.
        variables: positions among the model's weights; -1 for a variable that is not the model's.
        state: the optimizer's own variables before the update.
        iterations: updates made before this one.
        after: the model's weights right after the update.
        parts: where several optimizers update a step, or one does in several calls, each of these
            calls; the gradients and variables above are then those of all of them, the rest is that
            of the first.
    """

    optimizer: keras.Optimizer
    learning_rate: float
    gradients: list[np.ndarray | None]
    variables: list[int]
    state: Arrays
    iterations: int
    after: Arrays = field(default_factory=list)
    parts: list[Applied] = field(default_factory=list)


@dataclass
class Call:
    """One call of a model, or of a layer of it.

    Attributes:
        layer: what was called.
        arguments, named: what it was given.
        training: the flag in force, None where none was given.
        outputs: nest of tensors, masks still attached.
        at: where in the user's code.
    """

    layer: keras.layers.Layer
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    training: bool | None
    outputs: Any
    at: Spot | None = None

    @property
    def inputs(self) -> Any:
        """The first argument, however it was given."""
        return first_of(self.layer, self.arguments, self.named)


@dataclass
class Step:
    """The forward pass under a gradient tape, and what followed until the next one.

    A forward pass is one call of the model, or several of it and of its layers.

    Attributes:
        model: the one that is trained; what is called are it, parts of it, or what it is part of.
        inputs: of the first call (nest of tensors).
        training: the first flag in force, None where none was given.
        outputs: of the last call (nest of tensors), masks still attached.
        element: the data-set element pulled last before the call.
        layer_losses: `model.losses` right after the last call.
        before, after: all of the model's weights; kept for the steps that are looked at closely and
            at boundaries.
        target: what the tape differentiated, summed where it was not a scalar; None when nothing
            was.
        gradients: per source of the tape; `sources` are positions among the model's weights.
        scale: the factor `optimizer.scale_loss` put in; None where it was not called.
        losses: calls of Keras loss objects, in order.
        applied: the first update of each variable by an optimizer; None where none was seen.
        optimizer_after: the optimizer's own variables right after its update, kept as `after` is.
        boundary: a data-set iteration began right after this step.
        beside: what variables of the user's functions held when the model was called, with a row
            for each input, by name.
        fed: targets and weights as the data has them, where they are those of other rows than the
            inputs; None where each row came with its own.
        calls: in order; kept as `before` is.
        states: what recurrent layers carried over, before the step; kept as `before` is.
        partly: the first call is one of a part of the model, whose inputs are not the data's.
        source: where the element comes from.
        places: where in the user's code are the first 'call', 'gradient' and 'update', and the
            first 'assign' of a weight by hand.
    """

    model: keras.Model
    inputs: Any
    training: bool | None
    outputs: Any
    element: Any
    layer_losses: float
    before: Arrays | None = None
    after: Arrays | None = None
    target: float | None = None
    gradients: list[np.ndarray | None] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    scale: float | None = None
    losses: list[LossCall] = field(default_factory=list)
    applied: Applied | None = None
    optimizer_after: Arrays | None = None
    boundary: bool = False
    beside: dict[str, np.ndarray] = field(default_factory=dict)
    fed: tuple[Any, Any] | None = None
    calls: list[Call] = field(default_factory=list)
    states: Arrays = field(default_factory=list)
    partly: bool = False
    source: Source = field(default_factory=Source)
    places: dict[str, Spot] = field(default_factory=dict)

    def note(self, what: str, spot: Spot | None) -> None:
        """Note where something is called; the first time counts."""
        if spot is not None:
            self.places.setdefault(what, spot)

    @property
    def size(self) -> int:
        """Rows in the batch."""
        return rows_in(self.inputs)


@dataclass(kw_only=True)
class CompleteStep(Step):
    """A step that went through, and of which everything was kept.

    Attributes:
        number: place among the steps of its training, from 0.
        before, after: all of the model's weights.
        target: what the tape differentiated.
    """

    number: int
    before: Arrays
    after: Arrays
    target: float


def complete_steps(steps: Sequence[Step]) -> list[CompleteStep]:
    """The steps that are complete, in order."""
    names = [kept.name for kept in fields(Step)]
    return [
        CompleteStep(number=number, **{name: getattr(step, name) for name in names})
        for number, step in enumerate(steps)
        if step.before is not None and step.after is not None and step.target is not None
    ]


@dataclass
class Evaluation:
    """One forward pass outside of any tape, after `position` training steps.

    `states` is what recurrent layers carried over, kept as `weights` are.
    """

    position: int
    model: keras.Model
    inputs: Any
    training: bool | None
    outputs: Any
    element: Any
    weights: Arrays | None
    states: Arrays = field(default_factory=list)
    source: Source = field(default_factory=Source)
    at: Spot | None = None

    @property
    def size(self) -> int:
        """Rows in the batch."""
        return rows_in(self.inputs)


@dataclass
class MetricEvent:
    """A metric object was updated, reset or read, after `position` training steps."""

    position: int
    metric: keras.Metric
    kind: str
    value: float | None = None
    at: Spot | None = None


@dataclass
class FitCall:
    """One call of `model.fit` and what it was given."""

    model: keras.Model
    arguments: dict[str, Any]
    history: dict[str, list[float]] | None = None
    at: Spot | None = None


@dataclass
class Trace:
    """Everything seen of one side's training.

    Attributes:
        side: 'keras_fit' or 'custom_loop'.
        initial: weights of the model the function was given.
        complete: the function returned by itself.
        kept: weights of the model that was returned, or else of the one that was trained.
        log: series of numbers found in what the function returned, by name.
        compiled: some step asked for XLA.
        seconds: it took.
        seconds_to_first: of these, before its first step; None where there was none.
        buffers: of all calls of `Dataset.shuffle`, in order.
        compiles: where models are compiled, in order.
        made: losses, optimizers and metrics, by identity, and where each is made.
    """

    side: str
    initial: Arrays
    epochs: int = 1
    steps: list[Step] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    metrics: list[MetricEvent] = field(default_factory=list)
    fits: list[FitCall] = field(default_factory=list)
    complete: bool = False
    kept: Arrays | None = None
    log: dict[str, list[float]] = field(default_factory=dict)
    compiled: bool = False
    buffers: list[int] = field(default_factory=list)
    compiles: list[Spot] = field(default_factory=list)
    made: dict[int, tuple[Any, Spot]] = field(default_factory=dict)
    note: str = ""
    seconds: float = 0.0
    seconds_to_first: float | None = None

    @property
    def model(self) -> keras.Model | None:
        """The model that was trained."""
        return self.steps[0].model if self.steps else None


def snapshot(model: keras.Model) -> Arrays:
    """All variables of a model, copied."""
    return [value_of(variable) for variable in counted_weights(model)]


def state_variables(model: keras.Model) -> list[keras.Variable]:
    """What the recurrent layers of a model carry over from batch to batch: `stateful=True` keeps it
    in variables that are not among `model.variables`.
    """
    found: dict[int, keras.Variable] = {}
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            states = keras.tree.flatten(getattr(layer, "states", None) or [])
            found |= {id(state): state for state in states if isinstance(state, keras.Variable)}
    return list(found.values())


def first_of(layer: keras.layers.Layer, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """The first argument of a call of a layer, given by place or by name; None without one."""
    if arguments:
        return arguments[0]
    names = inspect.signature(layer.call).parameters
    return next((named[name] for name in names if name in named), None)


def rows_in(inputs: Any) -> int:
    """Rows of a nest of batch tensors."""
    shapes = [part.shape for part in keras.tree.flatten(inputs) if len(part.shape)]
    return int(shapes[0][0]) if shapes else 1


def value_of(variable: keras.Variable | tf.Variable) -> np.ndarray:
    """A copy of what a variable holds; on the replica that asks, where a strategy mirrors it. It
    cannot be written to.
    """
    return shared(np.array(tf.convert_to_tensor(variable)))
