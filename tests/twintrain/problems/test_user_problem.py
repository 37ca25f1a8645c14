"""What a module may state, and both twins on columns of any kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from random import Random
from types import ModuleType

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.odd_inputs import NEARLY_RIGHT, refusal
from tests.turns import dealt_out
from tests.twintrain.problems.own_problems import LABELS, module, spec, store
from twintrain.comparison.compare import compare
from twintrain.data.arrays import columns_of, examples
from twintrain.data.batches import BatchSource, Preparation
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem, statement_of
from twintrain.problems.task import TASKS
from twintrain.problems.user_problem import problem_in
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe

FEW = ("seeds=[0,1]", "training.epochs=2", "tuning.trials=0", "comparison.threshold=null")


@pytest.fixture
def stated() -> Iterator[ModuleType]:
    """A module that can be imported; what it says is set by a test."""
    made = module("stated_in_a_test", TASK="regression", LABEL="height", UNIT="m")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def recipe_for(made: ModuleType, *overrides: str) -> Recipe:
    return load_recipe("standard", [*FEW, f"problem.module={made.__name__}", *overrides])


@pytest.mark.parametrize("task", dealt_out(sorted(TASKS)))
def test_both_twins_are_equal_bit_for_bit(stated: ModuleType, task: str) -> None:
    stated.TASK = task
    stated.LABEL = LABELS if TASKS[task].SEVERAL else "height"
    recipe = recipe_for(stated, "comparison.margin=0.1", "data.validation_fraction=0.2")
    problem = find_problem(recipe, spec(task))
    train, test = store(task, 200, 1), store(task, 90, 2)
    found = compare(recipe, problem, train, test, steps=3)
    assert found.verdict == "identical"
    assert (found.parity.max_abs_difference, found.parity.same_batches) == (0.0, True)
    assert found.parity.lockstep is not None
    assert found.parity.lockstep.first is None
    assert found.metric == TASKS[task]("m").metric
    history = found.twins["loop"].history[0]
    assert {"loss", "val_loss", f"val_{found.metric.logged}"} <= set(history)
    assert ("labels" in found.data["train"]) == TASKS[task].CLASSIFIES


@pytest.mark.in_turn(4)
def test_what_arrays_are_sliced_by_is_given_beside_them(stated: ModuleType) -> None:
    stated.SLICES = (("town",),)
    recipe = recipe_for(stated, "comparison.margin=0.1", "seeds=[0]", "training.epochs=1")
    problem = find_problem(recipe, spec("regression"))
    train, test = store("regression", 200, 1), store("regression", 90, 2)
    towns = np.array(["Oslo", "Rome", "Rome"] * 30, object)  # as pandas keeps texts
    found = compare(recipe, problem, train, test, steps=0, slice_values={"town": towns})
    assert {part.name: part.n for part in found.slices[1:]} == {"town=Oslo": 30, "town=Rome": 60}
    with pytest.raises(TwintrainError, match="made by the pipeline"):  # before anything is trained
        compare(recipe, problem, train, test, steps=0)
    for wrong in ({}, {"town": towns[1:]}, {"town": np.ones(90)}, {"town": [None] * 90}):
        with pytest.raises(TwintrainError, match="must have 90 values by 'town'"):
            compare(recipe, problem, train, test, steps=0, slice_values=wrong)


def test_a_column_that_gives_the_target_away_is_told_first(stated: ModuleType) -> None:
    recipe = recipe_for(stated, "comparison.margin=0.1", "seeds=[0]", "training.epochs=1")
    rng = np.random.default_rng(0)
    heights = rng.normal(size=200).astype(np.float32)
    columns = {"age": rng.normal(size=200).astype(np.float32), "feet": heights * 3.28}
    train = examples({name: values[:150] for name, values in columns.items()}, heights[:150])
    test = examples({name: values[150:] for name, values in columns.items()}, heights[150:])
    found = compare(recipe, find_problem(recipe, columns_of(train)), train, test, steps=0)
    assert found.warnings[0].startswith("Input 'feet' alone puts the training examples in the")
    assert not any("'age'" in text for text in found.warnings)


@pytest.mark.in_turn(1)
def test_of_errors_the_sentence_speaks_in_their_unit(stated: ModuleType) -> None:
    recipe = recipe_for(stated, "comparison.margin=0.1", "loop.training.shuffle=false")
    problem = find_problem(recipe, spec("regression"))
    train, test = store("regression", 200, 1), store("regression", 90, 2)
    found = compare(recipe, problem, train, test, steps=0)
    assert " m, 95 % interval " in found.sentence
    assert "mean absolute error: fit " in found.sentence
    assert found.gap == pytest.approx(
        found.twins["loop"].mean_score - found.twins["fit"].mean_score
    )
    assert found.confusion is None


@pytest.mark.in_turn(3)
def test_a_loop_of_ones_own_is_diagnosed_on_columns(stated: ModuleType) -> None:
    stated.TASK = "binary"
    loop = "tests.twintrain.problems.own_problems:without_training_flag"
    recipe = recipe_for(stated, f"twins.loop={loop}", "regularization.dropout=0.5", "seeds=[0]")
    train, test = store("binary", 200, 1), store("binary", 90, 2)
    problem = find_problem(recipe, spec("binary"))
    found = compare(recipe, problem, train, test)
    assert found.parity.lockstep is not None
    assert found.parity.lockstep.own_loop is not None
    (cause,) = found.parity.lockstep.own_loop.causes
    assert "training_flag_missing" in cause


def test_columns_are_told_by_the_arrays_they_were_made_of() -> None:
    found = columns_of(store("binary", 300, 1), classes=2)
    assert found == spec("binary")
    images = examples(np.zeros((4, 3, 3, 1)), np.zeros(4, int))
    with pytest.raises(TwintrainError, match="have no names"):
        columns_of(images)


def test_a_margin_in_another_unit_has_to_be_given(stated: ModuleType) -> None:
    recipe = recipe_for(stated)
    with pytest.raises(TwintrainError, match="mean absolute error, m does not matter"):
        statement_of(recipe).margin_of(recipe)


def test_every_bit_of_every_column_counts_for_the_fingerprint() -> None:
    whole = store("binary", 32, 1)
    source = BatchSource(whole, load_recipe("standard"), 0, Preparation())
    inputs, targets = source.example_batch()
    base = int(source.fingerprint(inputs, targets))
    for name, tensor in inputs.items():
        values = tensor.numpy().copy()
        values.reshape(-1)[-1] += 1
        changed = {**inputs, name: keras.ops.convert_to_tensor(values)}
        assert int(source.fingerprint(changed, targets)) != base, name


def test_ones_own_functions_are_used(stated: ModuleType) -> None:
    def build_model(recipe: Recipe, columns: object) -> keras.Model:
        inputs = {
            "age": keras.Input((), name="age"),
            **{
                column.name: keras.Input(column.shape, dtype=column.dtype, name=column.name)
                for column in columns.inputs
                if column.name != "age"
            },
        }
        x = keras.layers.Reshape((1,))(inputs["age"])
        return keras.Model(inputs, keras.layers.Dense(1, name="mine")(x))

    stated.build_model = build_model
    stated.loss = lambda: keras.losses.Huber()
    stated.hyperparameters = lambda hp: {"regularization.l2": hp.Choice("l2", [0.0, 0.1])}
    problem = find_problem(recipe_for(stated), spec("regression"))
    assert problem.build_model(recipe_for(stated)).layers[-1].name == "mine"
    assert isinstance(problem.loss(), keras.losses.Huber)
    from keras_tuner import HyperParameters

    assert problem.suggest(HyperParameters(), recipe_for(stated)) == {"regularization.l2": 0.0}


def test_what_only_images_can_be_given_is_refused(stated: ModuleType) -> None:
    recipe = recipe_for(stated, "augmentation.rotation=10")
    with pytest.raises(TwintrainError, match="change images"):
        find_problem(recipe, spec("regression")).preparation(recipe)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"LABEL": "x"}, "does not say TASK"),
        ({"TASK": "binary"}, "does not say LABEL"),
        ({"TASK": "guessing", "LABEL": "x"}, "No task is called 'guessing'"),
        ({"TASK": "binary", "LABEL": 3}, "says LABEL = 3"),
        ({"TASK": "binary", "LABEL": "x", "CATEGORIES": "month"}, "says CATEGORIES = 'month'"),
        ({"TASK": "binary", "LABEL": "x", "SLICES": ("a", "b")}, "says SLICES ="),
        ({"TASK": "binary", "LABEL": "x", "WORDS": 0}, "says WORDS = 0"),
        ({"TASK": "binary", "LABEL": "x", "IGNORE": ("x",)}, "ignores 'x', which it also uses"),
        (
            {"TASK": "binary", "LABEL": "x", "IGNORE": ("x",), "SLICES": (("x",),)},
            "ignores 'x', which it also uses",
        ),
        ({"TASK": "binary", "LABEL": "x", "WEIGHT": 2}, "says WEIGHT = 2"),
        ({"TASK": "binary", "LABEL": "x", "WEIGHT": "x"}, "weighs rows by 'x'"),
        ({"TASK": "binary", "LABEL": "x", "KEY": "k", "WEIGHT": "k"}, "weighs rows by 'k'"),
        ({"TASK": "binary", "LABEL": "x", "SLICE": ()}, "says SLICE, which is not known"),
        ({"TASK": "binary", "LABEL": "x", "build_model": 3}, "build_model that is no function"),
    ],
)
def test_what_a_module_cannot_say_is_named(said: dict[str, object], expected: str) -> None:
    with pytest.raises(TwintrainError) as error:
        problem_in(module(**said))
    assert expected in str(error.value)


def test_columns_of_other_shapes_need_a_model_of_ones_own(stated: ModuleType) -> None:
    from dataclasses import replace

    from twintrain.data.example_spec import Column

    odd = replace(spec("regression"), inputs=(Column("grid", (3, 3), "float32"),))
    with pytest.raises(TwintrainError, match="needs a model of your own"):
        find_problem(recipe_for(stated), odd).build_model(recipe_for(stated))


def test_padding_changes_no_answer(stated: ModuleType) -> None:
    recipe = recipe_for(stated)
    model = find_problem(recipe, spec("regression")).build_model(recipe)
    columns = {
        "age": np.zeros(2, np.float32),
        "age_missing": np.zeros(2, np.float32),
        "town": np.zeros(2, np.int64),
    }
    short = np.array([[4, 0, 0, 0, 0, 0], [4, 4, 0, 0, 0, 0]])
    one, other = model({**columns, "words": short}).numpy()
    assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("name", ["CATEGORIES", "TEXT", "IGNORE", "SLICES"])
@pytest.mark.parametrize("odd", [5, float("inf"), None, "town", {"town"}, [1], ({"town"},), [[]]])
def test_names_are_lists_of_texts(stated: ModuleType, name: str, odd: object) -> None:
    setattr(stated, name, odd)
    with pytest.raises(TwintrainError, match=f"says {name} = "):
        problem_in(stated)


@NEARLY_RIGHT
@given(random=st.randoms(use_true_random=False))
def test_a_problem_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("problem", random)
    assert told is None or told.problem.replace("\n", "").isprintable()
