"""What a watched training leaves in its trace."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import BATCH, STEPS, data, small_model
from twintrain.diagnosis.stopwatch import Timer
from twintrain.diagnosis.watch.recording import Enough
from twintrain.diagnosis.watch.trace import Trace, snapshot
from twintrain.diagnosis.watch.watcher import Watch

ROWS, TEST = data(36, 0), data(12, 1)


def watched(
    close: int = 12, most: int = 100, seconds: float = 60, model: keras.Model | None = None
) -> tuple[Watch, Trace]:
    trace = Trace("custom_loop", [])
    return Watch(trace, close, most, Timer(seconds), model or small_model()), trace


def loop(model: keras.Model, epochs: int, graph: bool = False) -> None:
    optimizer, metric = keras.optimizers.Adam(0.01), keras.metrics.Mean()
    loss = keras.losses.SparseCategoricalCrossentropy()

    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        metric.update_state(value)

    taken = tf.function(step, jit_compile=True) if graph else step
    for _ in range(epochs):
        metric.reset_state()
        for x, y in ROWS.dataset():
            taken(x, y)
        for x, _y in TEST.dataset():
            model(x, training=False)
        float(metric.result())


@pytest.mark.parametrize("graph", [False, True])
def test_a_loop_is_seen_step_by_step(graph: bool) -> None:
    watch, trace = watched()
    model = small_model()
    start = snapshot(model)
    with watch.on():
        loop(model, 2, graph)
    assert len(trace.steps) == 2 * STEPS
    assert [step.size for step in trace.steps[:STEPS]] == [BATCH] * 4 + [4]
    assert trace.compiled is graph
    for step in trace.steps:
        assert step.training is True
        assert step.applied is not None
        assert step.sources == step.applied.variables == [0, 1, 2, 3]
        assert len(step.losses) == 1
        assert np.array_equal(step.losses[0].targets, step.element[1])
        assert np.array_equal(step.element[0], step.inputs)
    first, last = trace.steps[0], trace.steps[-1]
    assert all(map(np.array_equal, first.before or [], start))
    assert all(map(np.array_equal, first.after or [], trace.steps[1].before or []))
    assert all(map(np.array_equal, last.after or [], snapshot(model)))
    loss = keras.losses.SparseCategoricalCrossentropy()(first.element[1], first.outputs)
    assert first.target == pytest.approx(float(loss))


def test_epochs_evaluations_and_metrics_are_seen() -> None:
    watch, trace = watched()
    with watch.on():
        loop(small_model(), 2)
    # Before the evaluation of each epoch, and before the second pass over the training data.
    assert [i for i, step in enumerate(trace.steps) if step.boundary] == [STEPS - 1, 2 * STEPS - 1]
    assert [e.position for e in trace.evaluations] == [STEPS] * 2 + [2 * STEPS] * 2
    assert [e.weights is not None for e in trace.evaluations] == [True, False, True, False]
    kinds = [event.kind for event in trace.metrics]
    assert kinds == (["reset_state"] + ["update_state"] * STEPS + ["result"]) * 2
    assert trace.metrics[-1].value is not None


def test_only_the_steps_after_a_boundary_keep_their_weights() -> None:
    watch, trace = watched(close=2)
    with watch.on():
        loop(small_model(), 2)
    kept = [i for i, step in enumerate(trace.steps) if step.before is not None]
    assert kept == [0, 1, STEPS, STEPS + 1]


def test_fit_is_seen_with_its_arguments_and_history() -> None:
    watch, trace = watched()
    model = small_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with watch.on():
        model.fit(ROWS.dataset(), epochs=2, verbose=0)
    (call,) = trace.fits
    assert call.arguments["epochs"] == 2
    assert call.history is not None
    assert len(call.history["loss"]) == 2
    assert len(trace.steps) == 2 * STEPS


@pytest.mark.parametrize(("most", "seconds"), [(3, 60.0), (100, -1.0)])
def test_a_training_is_stopped_after_its_steps_or_its_time(most: int, seconds: float) -> None:
    watch, trace = watched(most=most, seconds=seconds)
    with pytest.raises(Enough), watch.on():
        loop(small_model(), 2)
    assert len(trace.steps) == (most if seconds > 0 else 0)


SEAMS = (
    (keras.layers.Layer, "__call__"),
    (tf.GradientTape, "gradient"),
    (keras.losses.Loss, "__call__"),
)


def originals() -> list[object]:
    return [owner.__dict__[name] for owner, name in SEAMS]


def test_everything_is_put_back_also_after_a_failure() -> None:
    before = originals()

    def fail() -> None:
        assert tf.config.functions_run_eagerly()
        assert all(now is not then for now, then in zip(originals(), before, strict=True))
        raise KeyError

    watch, _ = watched()
    with pytest.raises(KeyError), watch.on():
        fail()
    assert originals() == before
    assert not tf.config.functions_run_eagerly()


def test_a_loss_in_parts_is_one_target_and_a_penalty_on_inputs_none() -> None:
    watch, trace = watched()
    model = small_model()
    x = tf.constant(ROWS.element[0][:4])
    with watch.on(), tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = model(x, training=True)
        parts = [tf.reduce_sum(outputs[:, 0]), tf.reduce_sum(outputs[:, 1])]
        gradients = [tape.gradient(part, model.trainable_variables) for part in parts]
        tape.gradient(parts[0], x)
    (step,) = trace.steps
    assert step.target == pytest.approx(float(parts[0] + parts[1]))
    for index, seen in enumerate(step.gradients):
        assert seen == pytest.approx(gradients[0][index] + gradients[1][index])


def test_the_buffers_of_shuffles_are_seen() -> None:
    watch, trace = watched()
    with watch.on():
        data_set = ROWS.dataset().shuffle(7).shuffle(buffer_size=tf.constant(30, tf.int64))
        assert len(list(data_set)) == STEPS
    assert trace.buffers == [7, 30]
