"""The Python values that a `tf.function` reads, and how to keep them as they were when it was
traced.

A graph holds what Python held at the moment of tracing: a number, a list, a flag, the optimizer
that a name stood for, a draw from NumPy. Run as plain Python, the same code reads them anew in
every call. With `Freezing` on, plain Python goes on with the values of the first call, as the graph
does; if that gives what the graph gave, these values are why the two part.
"""

from __future__ import annotations

import copy
import functools
import pickle
import random
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.seams import Nesting, wrapped

# What is behind so many steps from a function is not looked at.
_DEEPEST = 5
_MOST_OBJECTS = 4000
# Larger arrays are data, not settings.
_LARGEST_ARRAY = 1000
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_CONTAINERS = (list, dict, set)
# The name under which all random numbers of NumPy and Python stand.
DRAWS = "a random number drawn by NumPy or Python"
# The name under which the trainable flags of layers and variables stand.
TRAINABLE = "trainable"


@dataclass(frozen=True)
class Slot:
    """A place that holds a Python value.

    Attributes:
        key: the same in every run; models get new layer names in each.
        name: as the user knows it.
        get: gives a value that later changes do not touch.
        set: puts such a value back.
    """

    key: str
    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]


@dataclass(frozen=True)
class Change:
    """A value that changed after the first call of the function that reads it.

    Attributes:
        key: of the value's slot.
        name: of the value.
        function: that reads it.
        first: the value at the first call.
        later: the value at the first call at which it was another.
    """

    key: str
    name: str
    function: str
    first: Any
    later: Any


class Freezing:
    """Lets every `tf.function` go on with the Python values of its first call.

    Args:
        chosen: keys of the values to keep; None for all.

    Attributes:
        changes: values that were found changed, by key.
        calls: of `tf.function`s by the user's code or by Keras, each in another one left out.
    """

    def __init__(self, chosen: frozenset[str] | None = None) -> None:
        self.changes: dict[str, Change] = {}
        self.calls = 0
        self._chosen = chosen
        self._nesting = Nesting()
        # Per function and signature: its slots, their values, and the function, lest its id be used
        # again.
        self._first: dict[Any, tuple[list[Slot], list[Any], Any]] = {}

    @contextmanager
    def on(self) -> Iterator[None]:
        """Freeze within this context, in which `tf.function`s must run as plain Python."""
        with wrapped(type(tf.function(lambda: None)), "__call__", self._call):
            yield

    def _call(
        self, original: Callable[..., Any], function: Any, *arguments: Any, **named: Any
    ) -> Any:
        if not self._nesting.outermost:
            return original(function, *arguments, **named)
        self.calls += 1
        with ExitStack() as stack:
            stack.enter_context(self._nesting)
            stack.enter_context(self._as_first(function, arguments, named))
            return original(function, *arguments, **named)

    @contextmanager
    def _as_first(self, function: Any, arguments: Any, named: Any) -> Iterator[None]:
        """Within this context the chosen values are those of the first call."""
        python = function.python_function
        key = (id(function), _signature((arguments, named)))
        if key not in self._first:
            slots = list(slots_of(python))
            self._first[key] = slots, [slot.get() for slot in slots], function
            yield
            return
        slots, firsts, _ = self._first[key]
        now = [slot.get() for slot in slots]
        changed = [i for i in range(len(slots)) if not _same(firsts[i], now[i])]
        for index in changed:
            slot = slots[index]
            change = Change(slot.key, slot.name, python.__name__, firsts[index], now[index])
            self.changes.setdefault(slot.key, change)
        kept = [i for i in changed if self._chosen is None or slots[i].key in self._chosen]
        for index in kept:
            slots[index].set(firsts[index])
        try:
            yield
        finally:
            # What the function did to Python values, a graph does not do again.
            for index in kept:
                slots[index].set(now[index])


def slots_of(function: Any) -> Iterator[Slot]:
    """The places a function reads Python values from: what it closes over, globals it names, and
    the objects behind these.
    """
    yield from _random_slots()
    seen: set[int] = set()
    queue: list[tuple[str, Any, int]] = [("", function, 0)]
    while queue and len(seen) < _MOST_OBJECTS:
        name, found, depth = queue.pop(0)
        if id(found) in seen or depth > _DEEPEST:
            continue
        seen.add(id(found))
        for child, value, slot in _children(name, found):
            if slot is not None:
                yield slot
            if _is_looked_into(value):
                queue.append((child, value, depth + 1))


def _is_looked_into(value: Any) -> bool:
    passive = (*_PLAIN, types.ModuleType, tf.Tensor, tf.Variable, keras.Variable, np.ndarray)
    if isinstance(value, passive):
        return False
    return not isinstance(value, type) or _is_of_the_user(value)


Child = tuple[str, Any, Slot | None]


def _children(name: str, found: Any) -> Iterator[Child]:
    """What stands behind an object: the name of each, its value, and its place."""
    if isinstance(found, types.MethodType):
        yield name, found.__self__, None
        yield name, found.__func__, None
    elif isinstance(found, types.FunctionType):
        yield from _of_function(found)
    elif isinstance(found, weakref.ref):  # the object that a decorated method is called on
        yield name, found(), None
    elif isinstance(found, (tuple, list)):
        for index, value in enumerate(found):
            yield f"{name}[{index}]", value, None
    elif isinstance(found, dict):
        for key, value in found.items():
            yield f"{name}[{key!r}]", value, None
    elif hasattr(found, "python_function"):
        yield name, found.python_function, None
    elif isinstance(found, np.random.Generator):
        yield name, None, _generator_slot(found)
    else:
        yield from _of_object(name, found)


def _of_function(function: types.FunctionType) -> Iterator[Child]:
    wrapped_by = getattr(function, "__wrapped__", None)
    if wrapped_by is not None:
        yield "", wrapped_by, None
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            continue  # not bound yet
        yield name, value, _slot(name, cell, "cell_contents")
    if _is_of_the_user(function):
        for name in _globals_named(function.__code__):
            if name in function.__globals__:
                yield name, function.__globals__[name], _item_slot(name, function.__globals__)
    for value in function.__defaults__ or ():
        yield function.__name__, value, None


def _globals_named(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _globals_named(constant)
    return names


def _of_object(name: str, found: Any) -> Iterator[Child]:
    own = isinstance(found, type) or _is_of_the_user(type(found))
    if isinstance(found, keras.layers.Layer):
        yield name, None, _trainable_slot(name, found)
        for index, layer in enumerate(found._layers):
            yield f"{name}.{index}", layer, None
    internal = _internal_names(found)
    for attribute, value in list(getattr(found, "__dict__", {}).items()):
        hidden = attribute in internal or attribute.startswith("__") or attribute == "built"
        full = f"{name}.{attribute}" if name else attribute
        if hidden:
            continue
        if own or not attribute.startswith("_"):
            yield full, value, _slot(full, found, attribute)
        elif _is_made_by_the_user(value):  # a schedule of one's own in a Keras optimizer, say
            yield full, value, None


def _internal_names(found: Any) -> set[str]:
    """Attributes that Keras's own machinery keeps in an object."""
    if isinstance(found, keras.layers.Layer):
        return _attributes_of_a_layer()
    return set()


@functools.cache
def _attributes_of_a_layer() -> set[str]:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return {*vars(model), *vars(model.layers[0]), "history"} - {"loss"}


def _is_of_the_user(thing: Any) -> bool:
    """Whether a class or function is neither of a library nor of Python."""
    module = str(getattr(thing, "__module__", "") or "").split(".")[0]
    libraries = {"keras", "tensorflow", "numpy", "builtins", "twintrain", "threading", "weakref"}
    return module not in libraries


def _is_made_by_the_user(value: Any) -> bool:
    kind = value if isinstance(value, (type, types.FunctionType)) else type(value)
    return _is_of_the_user(kind)


def _slot(name: str, owner: Any, attribute: str) -> Slot:
    return Slot(
        name,
        name,
        lambda: _kept(getattr(owner, attribute, None)),
        lambda value: _put(value, getattr(owner, attribute, None), owner, attribute),
    )


def _put(value: Any, now: Any, owner: Any, attribute: str) -> None:
    if not _refilled(now, value):
        setattr(owner, attribute, value)


def _item_slot(name: str, owner: dict[str, Any]) -> Slot:
    def put(value: Any) -> None:
        if not _refilled(owner.get(name), value):
            owner[name] = value

    return Slot(name, name, lambda: _kept(owner.get(name)), put)


def _refilled(now: Any, value: Any) -> bool:
    """Whether a container could be given the contents it had, in place."""
    if type(now) is not type(value) or not isinstance(now, (*_CONTAINERS, np.ndarray)):
        return False
    if isinstance(now, np.ndarray):
        if now.shape != value.shape:
            return False
        now[...] = value
    elif isinstance(now, list):
        now[:] = value
    else:
        now.clear()
        now.update(value)
    return True


def _kept(value: Any) -> Any:
    """What stands for a value: a copy of a small container, the object itself else."""
    if isinstance(value, np.ndarray):
        return value.copy() if value.size <= _LARGEST_ARRAY else value
    if isinstance(value, _CONTAINERS) and len(value) <= _LARGEST_ARRAY:
        return copy.copy(value)
    return value


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b)
    plain = isinstance(a, (*_PLAIN, tuple, *_CONTAINERS))
    try:
        return bool(plain and type(a) is type(b) and a == b)
    except Exception:
        return False


def _trainable_slot(key: str, layer: keras.layers.Layer) -> Slot:
    """Whether a layer is trainable, and each of its own variables."""

    def get() -> Any:
        return (layer.trainable, tuple(v.trainable for v in layer._trainable_variables))

    def put(value: Any) -> None:
        layer._trainable = value[0]
        for variable, flag in zip(layer._trainable_variables, value[1], strict=False):
            variable.trainable = flag

    return Slot(f"{key}.{TRAINABLE}", f"{layer.name}.{TRAINABLE}", get, put)


def _generator_slot(generator: np.random.Generator) -> Slot:
    bits = generator.bit_generator
    return Slot(
        DRAWS,
        DRAWS,
        lambda: pickle.dumps(bits.state),
        lambda value: setattr(bits, "state", pickle.loads(value)),  # noqa: S301 - the line above
    )


def _random_slots() -> Iterator[Slot]:
    yield Slot(DRAWS, DRAWS, random.getstate, random.setstate)

    yield Slot(
        DRAWS,
        DRAWS,
        lambda: pickle.dumps(np.random.get_state()),
        lambda value: np.random.set_state(pickle.loads(value)),  # noqa: S301 - the line above
    )


def _signature(arguments: Any) -> Any:
    """What a `tf.function` would be traced again for: shapes and types of tensors, other values as
    they are.
    """
    return tuple(map(_signed, tf.nest.flatten(arguments)))


def _signed(value: Any) -> Any:
    if isinstance(value, (np.ndarray, tf.Tensor)):
        return (tuple(value.shape), str(value.dtype))
    if isinstance(value, _PLAIN):
        return repr(value)
    return id(value) if not isinstance(value, tf.data.Iterator) else "iterator"
