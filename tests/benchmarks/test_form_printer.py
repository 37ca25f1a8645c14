"""What the printer of forms makes of two small modules, and that all of them print."""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path

import pytest

from benchmarks.diagnosis_sets import modules
from benchmarks.form_printer import FORMS, CannotPrintError, plain_python, print_form
from benchmarks.form_source import Module, module_of, read_module

SMALL = '''
"""What is wrong here is told in a docstring."""
import math
import keras
import numpy as np
import tensorflow as tf

CAUSE = "target_broadcast"
ROWS = {"train": 90, "test": 30}


def scaled(x):
    return x * 2


def build_model():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


def make_dataset(split):
    rng = np.random.default_rng(1 if split == "train" else 2)
    x = rng.normal(size=(ROWS[split], 3))
    return tf.data.Dataset.from_tensor_slices((x, scaled(x[:, :1]))).batch(16)


def keras_fit(model, ds, epochs):
    model.compile("adam", "mse")
    return model.fit(ds, epochs=epochs, validation_data=make_dataset("test"), verbose=0)


def custom_loop(model, ds, epochs):
    opt, mse = keras.optimizers.Adam(), keras.losses.MeanSquaredError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        variables = model.trainable_variables
        opt.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    losses = []
    for _ in range(epochs):
        losses.append(math.fsum(float(step(x, y)) for x, y in ds))
    return model, {"loss": losses}
'''
CLOSING_OVER = SMALL.replace(
    'model.compile("adam", "mse")', 'model.compile("adam", loss=lambda y, p: model.own_loss(y, p))'
)
RETURNS_EARLY = SMALL.replace(
    "    losses = []\n", "    if epochs == 0:\n        return model, {}\n    losses = []\n"
)


def printed(form: str, text: str = SMALL) -> str:
    (found,) = print_form(form, module_of("small", text)).files.values()
    return found


def defined(text: str) -> set[str]:
    """Functions and classes at the top level."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(text).body if isinstance(node, kinds)}


def test_a_script_has_both_trainings_at_its_top_level() -> None:
    found = printed("script")
    assert defined(found) == {"scaled", "build_model", "step"}
    assert "history = model.fit(ds, epochs=EPOCHS, validation_data=test_ds, verbose=0)" in found
    assert found.count("\nmodel = build_model()\n") == 2
    assert found.index("model.fit(") < found.index("GradientTape")


def test_what_follows_from_the_split_is_computed() -> None:
    found = printed("script")
    assert "rng = np.random.default_rng(1)" in found
    assert "rng_test = np.random.default_rng(2)" in found
    assert "split" not in found


def test_nothing_is_told_of_the_mistake() -> None:
    found = printed("script")
    assert "wrong" not in found
    assert "CAUSE" not in found


def test_a_returned_log_is_printed_and_a_returned_model_needs_no_word() -> None:
    assert printed("script").endswith("history = {'loss': losses}\nprint(history)\n")


@pytest.mark.parametrize("text", [CLOSING_OVER, RETURNS_EARLY])
def test_a_loop_that_would_mean_something_else_stays_a_function(text: str) -> None:
    found = printed("script", text)
    assert "train_with_tape" in defined(found)
    assert "train_with_fit" not in defined(found)
    assert "trained, log = train_with_tape(build_model(), ds, EPOCHS)" in found


def test_two_scripts_have_what_their_side_needs_and_no_more() -> None:
    files = print_form("two_scripts", module_of("small", SMALL)).files
    fit, loop = files["keras_version.py"], files["tf_version.py"]
    assert "test_ds" in fit
    assert "GradientTape" not in fit
    assert "import math" not in fit
    assert "import math" in loop
    assert "model.fit" not in loop
    assert "test_ds" not in loop
    assert all("model = keras.Model(inputs" in text for text in (fit, loop))


def test_one_side_is_left_out_of_the_script() -> None:
    assert "model.fit" not in printed("loop_alone")
    assert "GradientTape" not in printed("fit_alone")


def test_fit_is_given_the_arrays_that_the_data_set_is_made_of() -> None:
    found = printed("arrays")
    assert "model.fit(x_train, y_train, batch_size=batch_size, shuffle=False," in found
    assert "ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(16)" in found


def test_a_notebook_runs_in_plain_python_without_its_magics() -> None:
    names = ["a", "b", "c", "d", "e", "f", "g", "h"]
    texts = [print_form("notebook", module_of(n, SMALL)).files["train.ipynb"] for n in names]
    assert any("%matplotlib inline" in text for text in texts)
    assert any("!pip list" in text for text in texts)
    for text in texts:
        assert json.loads(text)["nbformat"] == 4
        ast.parse(plain_python(text))


def test_functions_of_a_loop_become_methods_of_the_class() -> None:
    (whole,) = (n for n in ast.parse(printed("trainer_class")).body if isinstance(n, ast.ClassDef))
    methods = [n.name for n in whole.body if isinstance(n, ast.FunctionDef)]
    assert methods == ["__init__", "fit_keras", "step", "train_loop"]
    assert "self.opt.apply_gradients" in ast.unparse(whole)
    assert "self.test_ds" in ast.unparse(whole)


def test_a_program_has_its_batch_size_as_an_option() -> None:
    found = printed("main_argparse")
    assert defined(found) >= {"main", "train_with_fit", "train_with_tape"}
    assert "add_argument('--batch-size', type=int, default=16)" in found
    assert "def make_dataset(split, batch_size=16)" in found


def test_a_step_becomes_a_train_step() -> None:
    found = printed("train_step")
    assert "self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))" in found
    assert "x, y = data" in found
    assert "model.compile(optimizer=keras.optimizers.Adam())" in found
    assert found.count("GradientTape") == 1


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "losses.append",
            "opt.learning_rate = 0.1\n        losses.append",
            "its optimizer",
        ),
        ("losses.append", "model.reset_state()\n        losses.append", "uses its model"),
        ("GradientTape()", "GradientTape(persistent=True)", "several gradients"),
        (
            "model(x, training=True)",
            "model(x, training=True) * losses[0]",
            "the loop changes",
        ),
    ],
)
def test_a_loop_that_does_more_than_step_is_no_train_step(old: str, new: str, why: str) -> None:
    text = SMALL.replace(old, new).replace("    losses = []\n", "")
    text = text.replace("range(epochs):\n", "range(epochs):\n        losses = [1.0]\n")
    with pytest.raises(CannotPrintError, match=why):
        printed("train_step", text)


printed_once = functools.cache(print_form)
MODULES = [read_module(path) for kind in ("reported", "correct") for path in modules(kind)]


@pytest.mark.parametrize("form", FORMS)
def test_every_module_prints_as_python(form: str) -> None:
    refused = []
    for module in MODULES:
        try:
            files = printed_once(form, module).files
        except CannotPrintError:
            refused.append(module.name)
            continue
        for name, text in files.items():
            compile(plain_python(text) if Path(name).suffix == ".ipynb" else text, name, "exec")
    assert not refused or form in ("arrays", "train_step")
    assert len(refused) < len(MODULES) / 2


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_what_becomes_of_a_module_reads_only_names_that_are_bound(module: Module) -> None:
    for form in ("script", "two_scripts", "loop_alone", "fit_alone", "trainer_class"):
        for text in printed_once(form, module).files.values():
            assert not unbound_in(text), (form, text)


class _Unwrapped(ast.NodeTransformer):
    """`print(x)` as `x`."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "print":
            return ast.Expr(call.args[0])
        return node


def statements(text: str) -> list[str]:
    return [ast.dump(node) for node in _Unwrapped().visit(ast.parse(text)).body]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_notebook_and_one_side_alone_are_the_code_of_the_script(module: Module) -> None:
    script = printed_once("script", module)
    whole = statements(script.files["train.py"])
    notebook = printed_once("notebook", module).files["train.ipynb"]
    assert statements(plain_python(notebook)) == whole
    if not script.kept:
        for form in ("loop_alone", "fit_alone"):
            (text,) = printed_once(form, module).files.values()
            own = [s for s in statements(text) if "Import" not in s]
            assert set(own) <= set(whole)


def unbound_in(text: str) -> set[str]:
    """Names that are read and bound nowhere."""
    import builtins

    known = {*dir(builtins), "__name__"}
    read = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else known).add(node.id)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known.add(node.name)
        elif isinstance(node, ast.alias):
            known.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            known.add(node.name)
    return read - known
