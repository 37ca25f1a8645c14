"""A loop whose items are whole trainings: months, say, one after the other."""

from __future__ import annotations

from pathlib import Path

import keras

from tests.twintrain.diagnosis.scripts.scripts_of_people import DATA, program
from twintrain.diagnosis.scripts.inherited import Inherited
from twintrain.diagnosis.scripts.lookout import Lookout
from twintrain.diagnosis.scripts.phases import phases_of
from twintrain.diagnosis.scripts.trainings import trainings_of
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.diagnosis.watch.weight_order import count_in_order


def test_places_are_counted_as_those_of_the_model_it_is_like() -> None:
    """A head is made before the body it stands behind; the body comes from the phase before."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    before = Inherited(frozenset({(("f.py", 1, 0), 1)}), [w.shape for w in model.weights])
    before._weights, before._model = frozenset({2, 3}), model
    count_in_order(model, [2, 3, 0, 1])
    assert before.closed().weights == {0, 1}


MONTHS = """
months = [(x_train[a : a + 40], y_train[a : a + 40]) for a in range(0, 120, 40)]
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model = make()
for x, y in months:
    model.compile(keras.optimizers.SGD(0.1), loss_fn)
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)

net = make()
optimizer = keras.optimizers.SGD(0.1)
for x, y in months:
    for epoch in range(2):
        for xb, yb in tf.data.Dataset.from_tensor_slices((x, y)).batch(8):
            with tf.GradientTape() as tape:
                loss = loss_fn(yb, net(xb, training=True))
            gradients = tape.gradient(loss, net.trainable_variables)
            optimizer.apply_gradients(zip(gradients, net.trainable_variables))
"""


def test_a_loop_whose_items_are_trainings_goes_through_phases(tmp_path: Path) -> None:
    """Its items hold rows, as those of a loop over batches do."""
    found = trainings_of(Lookout(program(tmp_path, DATA, MONTHS)).look())
    pairs = phases_of(*([t for t in found if t.side == side] for side in (FIT, LOOP))).pairs
    assert [(pair[FIT].own_epochs, pair[LOOP].own_epochs) for pair in pairs] == [(2, 2)] * 3
    assert [pair[LOOP].sections[0].ordinal for pair in pairs] == [1, 2, 3]


TWICE = """
net = make()
optimizer = keras.optimizers.SGD(0.1)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
for epoch in range(3):
    for xb, yb in tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(40):
        for again in range(2):
            for a in range(0, 40, 20):
                with tf.GradientTape() as tape:
                    loss = loss_fn(yb[a : a + 20], net(xb[a : a + 20], training=True))
                gradients = tape.gradient(loss, net.trainable_variables)
                optimizer.apply_gradients(zip(gradients, net.trainable_variables))
"""


def test_a_batch_gone_through_twice_is_no_phase(tmp_path: Path) -> None:
    (found,) = trainings_of(Lookout(program(tmp_path, DATA, TWICE)).look())
    assert not found.parts
    assert found.own_epochs == 3
