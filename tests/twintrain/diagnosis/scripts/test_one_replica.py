"""Distribution strategies of one device."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from tensorflow.python.distribute.distribute_lib import StrategyBase

from twintrain.diagnosis.scripts.one_replica import without_strategies


def test_one_replica_is_run_as_if_there_were_no_strategy() -> None:
    before = {name: getattr(StrategyBase, name) for name in ("scope", "run", "reduce")}
    data = tf.data.Dataset.range(8).batch(4)
    with without_strategies():
        strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
        with strategy.scope() as within:
            variable = keras.Variable(2.0)
        assert within is strategy
        assert not isinstance(variable.value, tf.distribute.DistributedValues)
        assert strategy.experimental_distribute_dataset(data) is data
        made = strategy.distribute_datasets_from_function(
            lambda context: data.batch(context.get_per_replica_batch_size(2))
        )
        assert next(iter(made)).shape == (2, 4)

        @tf.function
        def total(x: tf.Tensor) -> tf.Tensor:
            found = strategy.run(lambda a, b: a * b, args=(x,), kwargs={"b": 3.0})
            return strategy.reduce(tf.distribute.ReduceOp.SUM, found, axis=None)

        assert float(total(tf.constant(2.0))) == 6.0
        each = tf.constant([1.0, 3.0])
        assert float(strategy.reduce("MEAN", each, axis=0)) == 2.0
        assert float(strategy.reduce("SUM", each, axis=0)) == 4.0
        assert float(strategy.reduce("MEAN", tf.constant([1, 0]), axis=0)) == 0.5
        assert float(strategy.reduce("SUM", 2.5, axis=None).numpy()) == 2.5
        assert strategy.experimental_local_results(each) == (each,)
    assert {name: getattr(StrategyBase, name) for name in before} == before


def test_what_raises_in_a_replica_raises() -> None:
    with without_strategies(), pytest.raises(ZeroDivisionError):
        tf.distribute.OneDeviceStrategy("/cpu:0").run(lambda: 1 / 0)


def test_where_there_is_no_strategy_nothing_changes() -> None:
    with without_strategies():
        assert tf.distribute.get_strategy().run(lambda: 1) == 1
