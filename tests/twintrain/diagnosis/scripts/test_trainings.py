"""What a first look finds in scripts: which lines train, who is who, which loop counts epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.twintrain.diagnosis.scripts.scripts_of_people import DATA, FIT, LOOP, program
from twintrain.diagnosis.scripts.by_rows import counterpart
from twintrain.diagnosis.scripts.lookout import Lookout
from twintrain.diagnosis.scripts.trainings import Training, choose, trainings_of
from twintrain.diagnosis.watch.trace import FIT as FIT_SIDE
from twintrain.diagnosis.watch.trace import LOOP as LOOP_SIDE
from twintrain.errors import TwintrainError


def found(folder: Path, *parts: str) -> list[Training]:
    seen = Lookout(program(folder, *parts)).look()
    assert seen.failure is None
    return trainings_of(seen)


def test_a_fit_and_a_loop(tmp_path: Path) -> None:
    fit, loop = found(tmp_path, DATA, FIT, LOOP)
    assert (fit.side, fit.batch, fit.own_epochs) == (FIT_SIDE, 32, 3)
    assert (loop.side, loop.batch, loop.own_epochs) == (LOOP_SIDE, 32, 3)
    text = (tmp_path / "train.py").read_text().splitlines()
    assert text[fit.line - 1].startswith("history = model.fit")
    assert text[loop.line - 1] == "for epoch in range(3):"


FUNCTIONS = """
net = make()
optimizer = keras.optimizers.SGD(0.1)

def step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(net(x, training=True)))
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(gradients, net.trainable_variables))
    return loss

ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(32)
"""
LOOPS = {
    "comprehensions": ("losses = [[step(x, y) for x, y in ds] for _ in range(4)]", 4),
    "indices": (
        "for e in range(4):\n  for i in range(0, 120, 32):\n"
        "    step(x_train[i:i + 32], y_train[i:i + 32])",
        4,
    ),
    "phases": (
        "for e in range(4):\n  for name, data in (('train', ds), ('val', ds)):\n"
        "    for x, y in data:\n      step(x, y) if name == 'train' else net(x)",
        4,
    ),
    # One and the same model is trained on.
    "again": ("for _ in range(2):\n  for e in range(4):\n    for x, y in ds:\n      step(x, y)", 8),
    "while": ("e = 0\nwhile e < 4:\n  e += 1\n  for x, y in ds:\n    step(x, y)", None),
    "all rows at once": ("for e in range(9):\n  step(x_train, y_train)", 9),
    "one pass": ("for x, y in ds:\n  step(x, y)", None),
    "repeated": ("for i, (x, y) in enumerate(ds.repeat(4)):\n  step(x, y)", 4),
    "of a part": ("for x, y in ds.skip(1).repeat(4).prefetch(1):\n  step(x, y)", 4),
    "part of a pass": ("for i, (x, y) in zip(range(9), ds.repeat()):\n  step(x, y)", None),
}


@pytest.mark.parametrize("form", LOOPS)
def test_the_loop_over_epochs(tmp_path: Path, form: str) -> None:
    text, own = LOOPS[form]
    (loop,) = found(tmp_path, DATA, FUNCTIONS, text)
    assert loop.own_epochs == own


OWN_STEP = """
class Own(keras.Model):
    def train_step(self, data):
        return super().train_step(data)

inputs = keras.Input((4,))
own = Own(inputs, keras.layers.Dense(2)(inputs))
own.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
own.fit(x_train, y_train, epochs=2, verbose=0)
"""


def test_a_train_step_of_ones_own_is_the_custom_side(tmp_path: Path) -> None:
    sides = [training.side for training in found(tmp_path, DATA, FIT, OWN_STEP)]
    assert sides == [FIT_SIDE, LOOP_SIDE]


def test_fit_epoch_by_epoch_is_one_training(tmp_path: Path) -> None:
    again = FIT.replace("history = ", "for e in range(5): ").replace("epochs=3", "epochs=1")
    (fit,) = found(tmp_path, DATA, again)
    assert fit.own_epochs == 5
    assert fit.sections[0].repeats == "epochs"


def test_of_several_trainings_one_is_chosen_by_its_line(tmp_path: Path) -> None:
    several = found(tmp_path, DATA, FIT, FIT)
    with pytest.raises(TwintrainError, match="trains more than once") as caught:
        choose(several, FIT_SIDE, None, "train.py")
    assert f"--fit {several[0].line} or --fit {several[1].line}" in caught.value.remedy
    assert choose(several, FIT_SIDE, several[1].line, "train.py") is several[1]
    with pytest.raises(TwintrainError, match="no such training at line 1"):
        choose(several, FIT_SIDE, 1, "train.py")


OTHER_ROWS = """
x_other = rng.normal(size=(90, 4)).astype("float32")
other = make()
other.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
other.fit(x_other, y_train[:90], epochs=2, verbose=0)
"""


def test_of_several_fits_the_one_with_the_loops_rows_is_its_counterpart(tmp_path: Path) -> None:
    several = found(tmp_path, DATA, OTHER_ROWS, FIT, LOOP)
    assert counterpart(several) is several[1]
    assert counterpart(found(tmp_path, DATA, FIT, LOOP)) is None  # there is nothing to choose


AGAIN = FIT.replace("model", "again")
GENERATOR = "\nother.fit(((x_other, y_train[:90]) for _ in range(9)), steps_per_epoch=1)\n"
SECOND_PHASE = "\nmodel.fit(x_train, y_train, epochs=1, verbose=0)\n"


@pytest.mark.parametrize(
    "parts",
    [
        (FIT, AGAIN),
        (OTHER_ROWS.split("other.fit")[0], GENERATOR, FIT),
        (OTHER_ROWS, FIT, SECOND_PHASE),
    ],
    ids=["two have its rows", "of one they are not known", "it goes on in a second phase"],
)
def test_where_nothing_tells_which_fit_is_meant_none_is_chosen(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    assert counterpart(found(tmp_path, DATA, *parts, LOOP)) is None
