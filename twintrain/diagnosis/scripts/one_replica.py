"""A distribution strategy of one device does what the same code does without it; it is run so, that
its data, its calls and its variables are seen like any other's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import tensorflow as tf


@contextmanager
def without_strategies() -> Iterator[None]:
    """Within this context, strategies of one replica do nothing; others do what they do."""
    from tensorflow.python.distribute.distribute_lib import StrategyBase

    with ExitStack() as stack:
        for name, plain in _PLAIN.items():
            original = getattr(StrategyBase, name)
            stack.enter_context(patch.object(StrategyBase, name, _chosen(original, plain)))
        yield


def _chosen(original: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    def method(strategy: Any, *arguments: Any, **named: Any) -> Any:
        one = strategy is not tf.distribute.get_strategy() and strategy.num_replicas_in_sync == 1
        return (plain if one else original)(strategy, *arguments, **named)

    return method


@contextmanager
def _scope(strategy: Any) -> Iterator[Any]:
    yield strategy


def _run(
    strategy: Any, fn: Callable[..., Any], args: Any = (), kwargs: Any = None, options: Any = None
) -> Any:
    return fn(*args, **(kwargs or {}))


def _reduce(strategy: Any, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
    mean = str(getattr(reduce_op, "value", reduce_op)).lower() == "mean"
    return tf.nest.map_structure(lambda one: _reduced(one, axis, mean), value)


def _reduced(value: Any, axis: int | None, mean: bool) -> tf.Tensor:
    """As strategies do it: the mean of whole numbers has fractions."""
    if axis is None:
        return tf.identity(value)
    total, count = tf.reduce_sum(value, axis), tf.shape(value)[axis]
    return tf.math.truediv(total, tf.cast(count, total.dtype)) if mean else total


def _dataset(strategy: Any, dataset: Any, options: Any = None) -> Any:
    return dataset


def _dataset_of(strategy: Any, dataset_fn: Callable[..., Any], options: Any = None) -> Any:
    return dataset_fn(tf.distribute.InputContext())


def _results(strategy: Any, value: Any) -> tuple[Any, ...]:
    return (value,)


_PLAIN: dict[str, Callable[..., Any]] = {
    "scope": _scope,
    "run": _run,
    "reduce": _reduce,
    "experimental_distribute_dataset": _dataset,
    "distribute_datasets_from_function": _dataset_of,
    "experimental_local_results": _results,
}
