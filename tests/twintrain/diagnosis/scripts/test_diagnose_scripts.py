"""Whole diagnoses of small scripts: two sides, one side, and what a script may not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.turns import dealt_out
from tests.twintrain.diagnosis.scripts.scripts_of_people import DATA, FIT, LOOP, program
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.scripts.diagnose_scripts import diagnose_scripts
from twintrain.diagnosis.watch.user_module import UserCodeError
from twintrain.errors import TwintrainError


def diagnosed(folder: Path, *parts: str) -> Diagnosis:
    return diagnose_scripts([program(folder, *parts)])


def named(found: Diagnosis) -> list[tuple[str, str]]:
    return [(cause.id, cause.side) for cause in found.causes]


def test_a_correct_script_trains_alike(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, DATA, FIT, LOOP)
    assert (found.verdict, named(found)) == ("identical", [])
    assert any("given the same weights" in note for note in found.notes)


def test_a_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, DATA, FIT, LOOP.replace(".shuffle(120)", ""))
    assert named(found) == [("shuffle_missing", "custom_loop")]
    (place,) = found.causes[0].places[:1]
    assert place.code.startswith("ds = tf.data.Dataset.from_tensor_slices")


@pytest.mark.in_turn(4)
def test_another_number_of_epochs_is_a_cause(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, DATA, FIT, LOOP.replace("range(3)", "range(1, 3)"))
    assert named(found) == [("epochs_differ", "custom_loop")]


@pytest.mark.in_turn(3)
def test_one_model_trained_twice_is_a_cause(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, DATA, FIT, LOOP.replace("net = make()", "net = model"))
    assert named(found) == [("different_initial_weights", "custom_loop")]


@pytest.mark.in_turn(3)
def test_two_scripts(tmp_path: Path) -> None:
    one = program(tmp_path, DATA, FIT, name="keras_version.py")
    other = program(tmp_path, DATA, LOOP, name="tf_version.py")
    # Whichever is named first.
    assert diagnose_scripts([other, one]).verdict == "identical"


@pytest.mark.in_turn(3)
def test_a_loop_alone_is_held_against_the_fit_that_is_made(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, DATA, LOOP)
    assert found.verdict == "identical"
    assert found.made is not None
    assert "optimizer=keras.optimizers.SGD(learning_rate=0.1)" in found.made.code
    assert "SparseCategoricalCrossentropy(from_logits=True)" in found.made.code


@pytest.mark.in_turn(4)
def test_a_fit_alone_gives_the_loop_that_equals_it(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, DATA, FIT)
    assert found.verdict == "identical"
    assert found.made is not None
    compile(found.made.code, "loop.py", "exec")
    assert "shuffle(len(y_train))" in found.made.code


def test_what_a_script_raises_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserCodeError) as caught:
        diagnosed(tmp_path, DATA, "1 / 0\n", FIT, LOOP)
    assert "ZeroDivisionError" in caught.value.text
    with pytest.raises(UserCodeError) as caught:
        diagnosed(tmp_path, "name = input('who? ')\n", DATA, FIT, LOOP)
    assert "asks for input here (who?" in caught.value.text


@pytest.mark.in_turn(4)
def test_what_it_does_afterwards_does_not_matter(tmp_path: Path) -> None:
    after = "\nimport os, sys\nassert len(history.history['loss']) == 3\nos._exit(3)\n"
    assert diagnosed(tmp_path, DATA, LOOP, FIT, after).verdict == "identical"


def test_variables_of_no_model_are_refused(tmp_path: Path) -> None:
    bare = (
        "import tensorflow as tf\nw = tf.Variable(1.0)\nfor _ in range(3):\n"
        "  with tf.GradientTape() as t:\n    y = w * w\n  w.assign_sub(0.1 * t.gradient(y, w))\n"
    )
    with pytest.raises(TwintrainError, match="variables that no Keras model has"):
        diagnosed(tmp_path, bare)


EARLY_FIT = """
x_val, y_val = x_train[:60][::-1] * 0.9, rng.integers(0, 2, 60)
model = make()
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.5), loss_fn)
stop = keras.callbacks.EarlyStopping(patience=3)
model.fit(
    x_train, y_train, batch_size=120, epochs=60, validation_data=(x_val, y_val), callbacks=[stop]
)
"""
WHOLE_LOOP = """
net = make()
optimizer = keras.optimizers.SGD(0.5)
best, wait = float("inf"), 0
for epoch in range(60):
    with tf.GradientTape() as tape:
        loss = loss_fn(y_train, net(x_train, training=True))
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(gradients, net.trainable_variables))
    val_loss = float(loss_fn(y_val, net(x_val)))
"""
STOP = """
    wait = 0 if val_loss < best else wait + 1
    best = min(best, val_loss)
    if wait >= 3:
        break
"""


@pytest.mark.parametrize(
    ("rule", "found"),
    dealt_out([(STOP, []), ("", [("early_stopping_rule", "custom_loop")])], first=2),
    ids=["by the rule", "never"],
)
def test_a_loop_over_all_rows_at_once_stops_by_the_rule_of_fit_or_is_named(
    tmp_path: Path, rule: str, found: list[tuple[str, str]]
) -> None:
    told = diagnosed(tmp_path, DATA, EARLY_FIT, WHOLE_LOOP, rule)
    assert named(told) == found, told.model_dump_json(indent=1)
    assert told.verdict == ("causes_found" if found else "identical")
    assert not any(look.open for look in told.coverage)


SOFTMAX = DATA.replace("Dense(2)", "Dense(2, activation='softmax')")


@pytest.mark.in_turn(0)
def test_a_loop_alone_whose_model_ends_in_probabilities(tmp_path: Path) -> None:
    loop = LOOP.replace("(from_logits=True)", "()")
    found = diagnosed(tmp_path, SOFTMAX, loop)
    assert (found.verdict, named(found)) == ("identical", [])
    assert found.made is not None
    assert "loss=keras.losses.SparseCategoricalCrossentropy()," in found.made.code


GENERATOR = """
def batches():
    while True:
        order = np.random.permutation(len(x_train))
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            yield x_train[rows], y_train[rows]
"""
FIT_ON_IT = FIT.replace("x_train, y_train, epochs", "batches(), steps_per_epoch=STEPS, epochs")
LOOP_ON_IT = """
endless = batches()
""" + LOOP.replace("for x, y in ds:", "for _ in range(4):\n        x, y = next(endless)")


@pytest.mark.parametrize(
    ("steps", "found"),
    dealt_out([(4, []), (3, [("epoch_truncated", "keras_fit")])], first=3),
    ids=["a pass", "less"],
)
def test_a_fit_on_a_generator_that_never_ends(
    tmp_path: Path, steps: int, found: list[tuple[str, str]]
) -> None:
    fit = FIT_ON_IT.replace("STEPS", str(steps))
    told = diagnosed(tmp_path, DATA, GENERATOR, fit, LOOP_ON_IT)
    assert named(told) == found, told.model_dump_json(indent=1)
    assert told.verdict == ("causes_found" if found else "identical")


OWN_STEP = """
class Own(keras.Sequential):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(grads, self.trainable_variables))
        return {"loss": loss}

def make():
    return Own([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
"""


@pytest.mark.in_turn(1)
def test_of_two_scripts_a_fit_with_its_own_step_stands_for_fit(tmp_path: Path) -> None:
    one = program(tmp_path, DATA, OWN_STEP, FIT, name="keras_version.py")
    other = program(tmp_path, DATA, LOOP.replace("range(3)", "range(1, 3)"), name="tf_version.py")
    found = diagnose_scripts([one, other])
    assert ("epochs_differ", "custom_loop") in named(found)


ADDING_UP = """
net = make()
optimizer = keras.optimizers.SGD(0.1)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
for epoch in range(3):
    order = np.random.permutation(len(x_train))
    for start in range(0, len(order), 32):
        rows, sums = order[start : start + 32], None
        for part in range(0, len(rows), 8):
            few = rows[part : part + 8]
            with tf.GradientTape() as tape:
                loss = loss_fn(y_train[few], net(x_train[few], training=True))
            grads = tape.gradient(loss, net.trainable_variables)
            sums = grads if sums is None else [a + b for a, b in zip(sums, grads)]
        optimizer.apply([g / DIVISOR for g in sums], net.trainable_variables)
"""


SMALL = ["batch_size_differs", "gradient_accumulation"]
MORE_ROWS = DATA.replace("120", "250")


@pytest.mark.parametrize(
    ("divisor", "found"),
    dealt_out([("len(rows)", []), ("32", SMALL)], first=1),
    ids=["rows of the update", "a constant"],
)
def test_gradients_that_are_added_up_are_held_against_the_large_batch(
    tmp_path: Path, divisor: str, found: list[str]
) -> None:
    # The constant is wrong for the last 26 of the 250 rows alone.
    told = diagnosed(tmp_path, MORE_ROWS, FIT, ADDING_UP.replace("DIVISOR", divisor))
    assert [id_ for id_, _ in named(told) if id_ in SMALL] == found, told.model_dump_json(indent=1)
    assert told.verdict == ("causes_found" if found else "identical")


@pytest.mark.in_turn(2)
def test_two_batches_to_an_update_are_no_large_batch_of_one(tmp_path: Path) -> None:
    # On as few rows as a longer run has, both are one update in an epoch.
    fit = FIT.replace("epochs=3", "epochs=3, batch_size=128")
    loop = ADDING_UP.replace("32", "256").replace("DIVISOR", "len(rows)")
    told = diagnosed(tmp_path, DATA.replace("120", "1000"), fit, loop)
    assert told.verdict == "causes_found"
    assert "gradient_accumulation" in [id_ for id_, _ in named(told)]


PLATEAU = """
x_test = rng.normal(size=(60, 4)).astype("float32")
y_test = (x_test.sum(1) > 0).astype("int64")
train = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(30)
test = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch(30)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model, net = make(), make()
model.compile(keras.optimizers.SGD(0.5), loss_fn)
plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=2, min_delta=0.0)
model.fit(train, validation_data=test, epochs=30, callbacks=[plateau], verbose=0)

optimizer, best, wait = keras.optimizers.SGD(0.5), float("inf"), 0
for epoch in range(30):
    for x, y in train:
        with tf.GradientTape() as tape:
            loss = loss_fn(y, net(x, training=True))
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables))
    losses = [(float(loss_fn(y, net(x, training=False))), len(y)) for x, y in test]
    val_loss = sum(loss * rows for loss, rows in losses) / sum(rows for _, rows in losses)
    if val_loss < best:
        best, wait = val_loss, 0
        continue
    wait += 1
    if wait >= 2:
        optimizer.learning_rate.assign(optimizer.learning_rate * 0.5)
        wait = 0
"""


@pytest.mark.parametrize(
    ("reset", "expected"),
    dealt_out([("wait = 0", []), ("pass", [("learning_rate_schedule", "custom_loop")])], first=3),
)
def test_a_rate_that_falls_by_another_rule_is_named_late(
    tmp_path: Path, reset: str, expected: list[tuple[str, str]]
) -> None:
    script = PLATEAU.removesuffix("wait = 0\n") + f"{reset}\n"
    found = diagnosed(tmp_path, DATA, script)
    assert (found.verdict, named(found)) == ("causes_found" if expected else "identical", expected)
