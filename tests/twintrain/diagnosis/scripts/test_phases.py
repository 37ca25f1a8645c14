"""Trainings in several phases: which belong together, and what each takes over from the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.turns import dealt_out
from tests.twintrain.diagnosis.scripts.scripts_of_people import DATA, FIT, LOOP, program
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.scripts.diagnose_scripts import Choice, diagnose_scripts
from twintrain.diagnosis.scripts.inherited import Inherited
from twintrain.diagnosis.scripts.lookout import Lookout
from twintrain.diagnosis.scripts.phases import phases_of
from twintrain.diagnosis.scripts.trainings import Training, choose, trainings_of
from twintrain.diagnosis.watch.trace import FIT as FIT_SIDE
from twintrain.diagnosis.watch.trace import LOOP as LOOP_SIDE
from twintrain.errors import TwintrainError

FREEZE = """
def made():
    model = make()
    model.layers[0].trainable = False
    return model

loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
"""
TWO_FITS = """
model = made()
model.compile(keras.optimizers.Adam(0.01), loss_fn)
model.fit(x_train, y_train, epochs=2, verbose=0)
model.layers[0].trainable = True
model.compile(keras.optimizers.Adam(0.003), loss_fn)
model.fit(x_train, y_train, epochs=3, verbose=0)
"""
TWO_LOOPS = """
def train(net, epochs, rate, variables=None):
    optimizer = keras.optimizers.Adam(rate)
    variables = variables or net.trainable_variables
    ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(120).batch(32)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, net(x, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    for epoch in range(epochs):
        for x, y in ds:
            step(x, y)

net = made()
head = net.trainable_variables
train(net, 2, 0.01)
net.layers[0].trainable = True
train(net, 3, 0.003)
"""


SHARED = """
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
def pretrained():
    inputs = keras.Input((4,))
    code = keras.layers.Dense(3)(inputs)
    return keras.Model(inputs, keras.layers.Dense(4)(code)), keras.Model(
        inputs, keras.layers.Dense(2)(code)
    )
coder, model = pretrained()
coder.compile("adam", "mse")
coder.fit(x_train, x_train, epochs=2, verbose=0)
model.compile("adam", loss_fn)
model.fit(x_train, y_train, epochs=3, verbose=0)

def train(net, y_train, loss_fn, epochs):
    optimizer = keras.optimizers.Adam()
    for epoch in range(epochs):
        order = np.random.permutation(len(x_train))
        for i in range(0, len(x_train), 32):
            x, y = x_train[order[i:i + 32]], y_train[order[i:i + 32]]
            with tf.GradientTape() as tape:
                loss = loss_fn(y, net(x, training=True))
            variables = net.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

coder, net = pretrained()
train(coder, x_train, keras.losses.MeanSquaredError(), 2)
train(net, y_train, loss_fn, 3)
"""


def pairs(folder: Path, *parts: str) -> list[dict[str, Training]]:
    seen = Lookout(program(folder, *parts)).look()
    assert seen.failure is None
    found = trainings_of(seen)
    sides = ([t for t in found if t.side == side] for side in (FIT_SIDE, LOOP_SIDE))
    return phases_of(*sides).pairs


def epochs_of(found: list[dict[str, Training]]) -> list[tuple[int | None, int | None]]:
    return [(pair[FIT_SIDE].own_epochs, pair[LOOP_SIDE].own_epochs) for pair in found]


def test_what_is_trained_twice_has_two_phases(tmp_path: Path) -> None:
    found = pairs(tmp_path, DATA, FREEZE, TWO_FITS, TWO_LOOPS)
    assert epochs_of(found) == [(2, 2), (3, 3)]
    first, second = (pair[LOOP_SIDE].sections[0] for pair in found)
    assert first.place == second.place
    assert (first.ordinal, second.ordinal) == (1, 2)


def test_models_that_share_layers_are_told_apart_by_their_shapes(tmp_path: Path) -> None:
    found = pairs(tmp_path, DATA, SHARED)
    assert epochs_of(found) == [(2, 2), (3, 3)]
    for pair in found:
        assert pair[FIT_SIDE].shapes == pair[LOOP_SIDE].shapes


def test_a_model_that_the_other_side_has_none_like_stands_for_itself(tmp_path: Path) -> None:
    baseline = """
baseline = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
baseline.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
baseline.fit(x_train, y_train, epochs=5, verbose=0)
"""
    assert epochs_of(pairs(tmp_path, DATA, baseline, FIT, LOOP)) == [(3, 3)]


def test_of_models_alike_the_one_in_as_many_parts_is_taken(tmp_path: Path) -> None:
    found = pairs(tmp_path, DATA, FREEZE, FIT, TWO_FITS, TWO_LOOPS)
    assert epochs_of(found) == [(2, 2), (3, 3)]


@pytest.mark.parametrize(
    "parts",
    [
        (FIT, FIT, LOOP, LOOP),  # other models, alike: which belongs to which?
        (FIT, "model.fit(x_train, y_train, verbose=0)\n", LOOP),
        ("for fold in range(3):\n" + FIT.replace("\n", "\n    "), LOOP, LOOP),
        ("for fold in range(4):\n    pass\n" + FIT.replace("\n", "\n    "), LOOP),
    ],
    ids=["alike", "one loop", "folds", "folds and a loop"],
)
def test_what_is_not_clear_is_asked(tmp_path: Path, parts: tuple[str, ...]) -> None:
    assert len(pairs(tmp_path, DATA, *parts)) < 2


def diagnosed(folder: Path, loops: str, fits: str = TWO_FITS) -> Diagnosis:
    return diagnose_scripts([program(folder, DATA, FREEZE, fits, loops)], Choice())


# One graph for both phases, as most write it.
ONE_STEP = """
net = made()
optimizer = keras.optimizers.Adam(0.01)
optimizer.build(make().variables)
ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(120).batch(32)

@tf.function
def step(x, y):
    with tf.GradientTape() as tape:
        loss = loss_fn(y, net(x, training=True))
    optimizer.apply_gradients(zip(tape.gradient(loss, net.weights), net.weights))

net.layers[0].trainable = True
for epoch in range(2):
    for x, y in ds:
        step(x, y)
optimizer.learning_rate = 0.003
for epoch in range(3):
    for x, y in ds:
        step(x, y)
"""
ONE_OPTIMIZER = (
    TWO_FITS.replace("model = made()", "model = make()\nadam = keras.optimizers.Adam(0.01)")
    .replace("keras.optimizers.Adam(0.01), loss", "adam, loss")
    .replace(
        "model.compile(keras.optimizers.Adam(0.003)",
        "adam.learning_rate = 0.003\nmodel.compile(adam",
    )
)
CAPTURED = TWO_LOOPS.replace("train(net, 3, 0.003)", "train(net, 3, 0.003, head)")
ANEW = TWO_LOOPS.replace("net.layers[0].trainable = True", "net = make()")
# Its classifier has an encoder of its own, which nothing has trained before.
NOT_SHARED = SHARED.replace(
    "coder, net = pretrained()", "coder, _ = pretrained()\n_, net = pretrained()"
)
GOES_ON = TWO_FITS.replace("model.layers[0].trainable = True\n", "").replace(
    "model.compile(keras.optimizers.Adam(0.003), loss_fn)\n", ""
)
LOOPS_AGAIN = TWO_LOOPS.replace("net.layers[0].trainable = True\n", "").replace("0.003", "0.01")


@pytest.mark.parametrize(
    ("fits", "loops", "expected"),
    dealt_out(
        [
            (TWO_FITS, TWO_LOOPS, []),
            (ONE_OPTIMIZER, ONE_STEP.replace("optimizer.build(make().variables)\n", ""), []),
            (TWO_FITS, CAPTURED, [("trainable_flags", "custom_loop")]),
            (SHARED, "", []),
            (NOT_SHARED, "", [("different_initial_weights", "custom_loop")]),
            (GOES_ON, LOOPS_AGAIN, [("optimizer_state_reset", "custom_loop")]),
        ]
    ),
    ids=[
        "alike",
        "one graph",
        "variables read once",
        "encoder",
        "another encoder",
        "another optimizer",
    ],
)
def test_each_phase_is_diagnosed_by_itself(
    tmp_path: Path, fits: str, loops: str, expected: list[tuple[str, str]]
) -> None:
    found = diagnosed(tmp_path, loops, fits)
    assert [(cause.id, cause.side) for cause in found.causes] == expected
    assert found.verdict == ("causes_found" if expected else "identical")
    told = {look.what: look.said for look in found.coverage}
    assert told["phase 1 of 2"].endswith("train alike")
    assert told["phase 2 of 2"].endswith("train alike") == (not expected)


def test_parts_that_do_not_belong_together_are_listed(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="in several parts") as asked:
        diagnosed(tmp_path, ANEW)
    assert "fit at line 22, fit at line 25; " in str(asked.value)


def test_one_part_of_each_can_be_chosen(tmp_path: Path) -> None:
    seen = Lookout(program(tmp_path, DATA, FREEZE, TWO_FITS, TWO_LOOPS)).look()
    found = trainings_of(seen)
    second = choose(found, FIT_SIDE, 25, "train.py")
    assert second is not None
    assert (second.own_epochs, second.parts) == (3, [])


def trained(optimizer: keras.Optimizer) -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    optimizer.apply([np.ones(v.shape, "float32") for v in model.variables], model.variables)
    return model


EARLIER = frozenset({(("train.py", 1, 0), 1)})


def layers(*sizes: int) -> keras.Model:
    return keras.Sequential([keras.Input((2,)), *map(keras.layers.Dense, sizes)])


def noting(model: keras.Model) -> Inherited:
    return Inherited(EARLIER, [tuple(weight.shape) for weight in model.weights])


def update(model: keras.Model, optimizer: keras.Optimizer) -> None:
    gradients = [np.ones(v.shape, "float32") for v in model.trainable_variables]
    optimizer.apply(gradients, model.trainable_variables)


def test_weights_are_known_by_their_values_wherever_they_are() -> None:
    model, after = layers(2), layers(2, 3)
    inherited = noting(after)
    inherited.note(model)
    update(model, keras.optimizers.SGD(0.1))
    inherited.end_phase()
    after.layers[0].set_weights(model.get_weights())
    inherited.begin(model)  # another one that is called first
    inherited.begin(after)
    found = inherited.closed()
    assert found.weights == {0, 1}
    assert found.optimizers == (0, 0)


@pytest.mark.parametrize(
    ("share", "kept"), [(0.0, False), (0.5, True), (1.0, True), (1.2, True), (9.0, False)]
)
def test_averages_come_from_a_phase_and_weights_put_back_do_not(share: float, kept: bool) -> None:
    model = layers(2)
    before, inherited = model.get_weights(), noting(model)
    inherited.note(model)
    update(model, keras.optimizers.SGD(0.1))
    inherited.end_phase()
    pairs = zip(model.get_weights(), before, strict=True)
    model.set_weights([b + share * (a - b) if share else b for a, b in pairs])
    inherited.begin(model)
    assert inherited.closed().weights == (frozenset({0, 1}) if kept else frozenset())


def test_what_dropout_draws_by_is_no_weight() -> None:
    def dropping() -> keras.Model:
        return keras.Sequential(
            [keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
        )

    model, again = dropping(), dropping()
    inherited = noting(model)
    inherited.note(model)
    update(model, keras.optimizers.SGD(0.1))
    inherited.end_phase()
    again.set_weights(model.get_weights())
    inherited.begin(again)
    assert inherited.closed().weights == {0, 1}


ADDED_UP = {"gradient_accumulation_steps": 4}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Adam", {}),
        ("Adagrad", {}),
        ("Nadam", {}),
        ("RMSprop", {}),
        ("SGD", {"momentum": 0.9}),
        ("Adam", ADDED_UP),
    ],
)
def test_an_optimizer_that_goes_on_is_set_back_and_known(name: str, given: dict[str, Any]) -> None:
    fresh, optimizer = (getattr(keras.optimizers, name)(0.1, **given) for _ in range(2))
    model = layers(2)
    inherited = noting(model)
    inherited.note(model)
    update(model, optimizer)
    inherited.end_phase()
    fresh.build(model.trainable_variables)
    optimizer.learning_rate = 0.01
    inherited.note_optimizer(optimizer)
    inherited.begin(model)
    assert float(optimizer.learning_rate.numpy()) == pytest.approx(0.01)
    for one, other in zip(optimizer.variables, fresh.variables, strict=True):
        if one is optimizer._iterations:
            assert one.numpy() == 1  # the code may count by itself
        elif one is not optimizer._learning_rate:
            assert np.array_equal(one.numpy(), other.numpy())
    update(model, optimizer)
    assert inherited.closed().optimizers == (1, 1)


@pytest.mark.parametrize(("made", "known"), [("Adam", (1, 0)), ("SGD", (0, 0))])
def test_an_optimizer_that_is_left_is_no_inheritance(made: str, known: tuple[int, int]) -> None:
    """And one without a state has nothing to leave."""
    optimizer, model = getattr(keras.optimizers, made)(), layers(2)
    inherited = noting(model)
    inherited.note(model)
    update(model, optimizer)
    inherited.end_phase()
    inherited.note_optimizer(optimizer)
    inherited.begin(model)
    assert inherited.closed().optimizers == known


def test_where_nothing_has_moved_nothing_is_known() -> None:
    model = layers(2)
    inherited = noting(model)
    inherited.note(model)
    inherited.end_phase()
    inherited.begin(model)
    assert inherited.closed().weights is None


def test_weights_that_are_made_by_the_first_call_are_noted_behind_it() -> None:
    model = keras.Sequential([keras.layers.Dense(2)])
    inherited = Inherited(EARLIER, [(2, 2), (2,)])
    inherited.note(model)
    model(np.ones((1, 2), "float32"))
    inherited.note(model)
    update(model, keras.optimizers.SGD(0.1))
    inherited.end_phase()
    inherited.begin(model)
    assert inherited.closed().weights == {0, 1}


def test_fit_epoch_by_epoch_is_no_phases(tmp_path: Path) -> None:
    by_epoch = FIT.replace(
        "history = model.fit(x_train, y_train, epochs=3, verbose=0)",
        "for _ in range(3):\n    model.fit(x_train, y_train, verbose=0)",
    )
    assert epochs_of(pairs(tmp_path, DATA, by_epoch, LOOP)) == [(3, 3)]


@pytest.mark.parametrize(
    ("behind", "may"),
    [("print(history)\n", False), ("model.fit(x, y)\n", True), ("trainer.train(3)\n", True)],
)
def test_what_stands_behind_a_line_that_raised_may_train(
    tmp_path: Path, behind: str, may: bool
) -> None:
    raises = program(tmp_path, "def broken():\n    raise ValueError\n\nbroken()\n", behind)
    failure = Lookout(raises).look().failure
    assert isinstance(failure, ValueError)
    assert raises.trains_behind(failure) == may
