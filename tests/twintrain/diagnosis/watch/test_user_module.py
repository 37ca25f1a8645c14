"""Bad modules: each ends with a sentence that says what is wrong, and leaves no trace."""

from __future__ import annotations

import pickle
import random
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from twintrain.diagnosis import budget
from twintrain.diagnosis.diagnose import diagnose, diagnose_module
from twintrain.diagnosis.watch.user_module import UserCodeError
from twintrain.errors import TwintrainError

GOOD = """
import keras
import numpy as np
import tensorflow as tf

def build_model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])

def make_dataset(split):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, (x[:, 0] > 0).astype("int32"))).batch(16)

def keras_fit(model, ds, epochs):
    model.compile("adam", "sparse_categorical_crossentropy")
    return model.fit(ds, epochs=epochs, verbose=0)

def custom_loop(model, ds, epochs):
    optimizer, loss = keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy()
    for _ in range(epochs):
        for x, y in ds:
            with tf.GradientTape() as tape:
                value = loss(y, model(x, training=True))
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(value, variables), variables)
"""


def module(folder: Path, *more: str) -> Path:
    path = folder / "training.py"
    path.write_text(GOOD + "\n\n".join(more), encoding="utf-8")
    return path


def test_a_good_module_is_identical(tmp_path: Path) -> None:
    found = diagnose_module(module(tmp_path))
    assert (found.verdict, found.max_abs_difference) == ("identical", 0.0)
    assert found.first_divergence is None
    assert found.steps == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("del custom_loop", "has no function custom_loop"),
        ("keras_fit = 3", "keras_fit is not a function"),
        ("def keras_fit(model, epochs): pass", r"keras_fit\(model, epochs\) cannot be called"),
        ("def make_dataset(split): return [1, 2]", "returns list"),
        (
            "_whole = make_dataset\ndef make_dataset(split): return _whole(split).repeat()",
            "never ends",
        ),
        (
            "_whole = make_dataset\ndef make_dataset(split): return _whole(split).take(0)",
            "is empty",
        ),
        (
            "_whole = make_dataset\ndef make_dataset(split): return _whole(split).unbatch()",
            "does not yield batches",
        ),
        (
            "def make_dataset(split):\n    return "
            "tf.data.Dataset.from_tensors((tf.ragged.constant([[1.0], [1.0, 2.0]]), [0, 1]))",
            "ragged batches",
        ),
        ("def build_model(): return object()", "not a Keras 3 model"),
        ("def custom_loop(model, ds, epochs): return model", "made no training step"),
    ],
)
def test_what_is_wrong_is_said(change: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match=message):
        diagnose_module(module(tmp_path, change))


@pytest.mark.in_turn(4)
def test_a_module_may_have_dataclasses_and_import_its_neighbour_late(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("RATE = 0.001", encoding="utf-8")
    late = (
        "import dataclasses\n"
        "_loop = custom_loop\n"
        "@dataclasses.dataclass\nclass Settings:\n    rate: 'float' = 1.0\n"
        "def custom_loop(model, ds, epochs):\n    import neighbour\n    Settings(neighbour.RATE)\n "
        "   return _loop(model, ds, epochs)"
    )
    before = list(sys.path)
    assert diagnose_module(module(tmp_path, late)).verdict == "identical"
    assert sys.path == before


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="There is no file"):
        diagnose_module(tmp_path / "nowhere.py")


@pytest.mark.parametrize("where", ["import", "custom_loop", "build_model", "make_dataset"])
def test_the_users_own_traceback_and_nothing_of_ours(where: str, tmp_path: Path) -> None:
    change = "helper()" if where == "import" else f"def {where}(*_, **__):\n    helper()"
    with pytest.raises(UserCodeError) as caught:
        diagnose_module(module(tmp_path, "def helper():\n    return {}['lost']", change))
    text = caught.value.text
    assert "KeyError: 'lost'" in text
    assert "training.py" in text
    assert "in helper" in text
    assert "/twintrain/" not in text
    assert "site-packages" not in text


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run gets no more than its share of the deadline, or little."""
    monkeypatch.setattr(budget, "_LEAST", 3.0)


@pytest.mark.in_turn(1)
def test_a_loop_that_never_ends_is_stopped_and_read_as_far_as_it_came(
    tmp_path: Path, short_runs: None
) -> None:
    endless = (
        module(tmp_path)
        .read_text(encoding="utf-8")
        .replace("    for _ in range(epochs):\n        for x", "    while True:\n        for x")
    )
    path = tmp_path / "endless.py"
    path.write_text(
        endless.replace("model(x, training=True)", "model(x, training=True) * 2.0 / 2.0"),
        encoding="utf-8",
    )
    found = diagnose_module(path, deadline=20)
    assert found.verdict == "unknown"
    assert (found.causes, found.unexplained) == ([], [])
    said = {look.what: look.said for look in found.coverage if look.open}
    assert "custom_loop was stopped after" in said["epochs"]


@pytest.mark.in_turn(0)
def test_a_loop_that_waits_for_nothing_is_stopped(tmp_path: Path, short_runs: None) -> None:
    with pytest.raises(
        TwintrainError,
        match=r"custom_loop was stopped after \d+ s, \d+ s of them before its first training step",
    ):
        diagnose_module(
            module(tmp_path, "def custom_loop(model, ds, epochs):\n    while True:\n        pass"),
            deadline=12,
        )


@pytest.mark.in_turn(4)
def test_losses_that_are_not_numbers_are_told(tmp_path: Path) -> None:
    nan = (
        "_build = build_model\n"
        "def build_model():\n"
        "    model = _build()\n"
        "    kernel = model.layers[0].kernel\n"
        "    kernel.assign(kernel * float('nan'))\n"
        "    return model"
    )
    found = diagnose_module(module(tmp_path, nan))
    assert found.verdict == "identical"
    assert any("not a number" in note for note in found.notes)


@pytest.mark.in_turn(3)
def test_the_process_is_left_as_it_was(tmp_path: Path) -> None:
    wild = (
        "_loop = custom_loop\n"
        "def custom_loop(model, ds, epochs):\n"
        "    assert not tf.config.experimental.tensor_float_32_execution_enabled()\n"
        "    keras.config.set_dtype_policy('mixed_bfloat16')\n"
        "    keras.config.set_floatx('float64')\n"
        "    tf.config.run_functions_eagerly(True)\n"
        "    keras.utils.set_random_seed(5)\n"
        "    _loop(model, ds, epochs)\n"
        "    raise ValueError('at last')"
    )
    seams = [
        keras.layers.Layer.__dict__["__call__"],
        tf.GradientTape.__dict__["gradient"],
        keras.Model.fit,
    ]
    random.seed(3)
    np.random.seed(3)
    assert tf.config.experimental.tensor_float_32_execution_enabled()
    with pytest.raises(UserCodeError) as raised:
        diagnose_module(module(tmp_path, wild))
    assert "ValueError: at last" in raised.value.text
    assert tf.config.experimental.tensor_float_32_execution_enabled()
    assert seams == [
        keras.layers.Layer.__dict__["__call__"],
        tf.GradientTape.__dict__["gradient"],
        keras.Model.fit,
    ]
    assert keras.config.dtype_policy().name == "float32"
    assert keras.config.floatx() == "float32"
    assert not tf.config.functions_run_eagerly()
    assert (random.random(), np.random.random()) == (
        random.Random(3).random(),
        np.random.RandomState(3).random_sample(),
    )


@pytest.mark.in_turn(3)
def test_functions_can_be_given_from_a_notebook(tmp_path: Path) -> None:
    names: dict[str, object] = {}
    exec(module(tmp_path).read_text(encoding="utf-8"), names)
    found = diagnose(
        names["build_model"], names["make_dataset"], names["keras_fit"], names["custom_loop"]
    )  # type: ignore[arg-type]
    assert found.verdict == "identical"
    assert "train alike" in found._repr_html_()


def test_what_the_users_code_raised_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(UserCodeError("custom_loop", "Traceback ...")))
    assert (error.where, error.text) == ("custom_loop", "Traceback ...")
