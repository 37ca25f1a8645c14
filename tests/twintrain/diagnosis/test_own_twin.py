"""A loop of the user's own, diagnosed before both twins train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.turns import dealt_out
from tests.twintrain.training import own_loops
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.diagnosis.own_twin import explain_own_loop
from twintrain.errors import TwintrainError
from twintrain.parity.divergence import OwnLoop
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe


def explained(store: ExampleStore, function: str, *overrides: str) -> OwnLoop:
    own = f"twins.loop={own_loops.__name__}:{function}"
    settings = ["model.name=mlp", "regularization.dropout=0.4", own, *overrides]
    recipe = load_recipe("textbook", settings)
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    found = explain_own_loop(recipe, problem, store).own_loop
    assert found is not None
    return found


@pytest.mark.in_turn(0)
def test_what_it_does_otherwise_is_named_with_its_line(small_train: ExampleStore) -> None:
    found = explained(small_train, "without_training_flag")
    assert found.verdict == "causes_found"
    (cause,) = found.causes
    assert cause.startswith("your loop calls the model without training=True at ")
    assert "own_loops.py:" in cause
    assert cause.endswith("(training_flag_missing)")
    assert cause in found.sentence()


@pytest.mark.in_turn(1)
def test_a_right_step_is_accused_of_nothing(small_train: ExampleStore) -> None:
    found = explained(small_train, "train_step")
    assert found.verdict == "identical"
    assert not found.causes
    assert "found no difference in what it compared (" in found.sentence()


@pytest.mark.in_turn(4)
def test_class_weights_that_it_leaves_out_are_named(small_train: ExampleStore) -> None:
    found = explained(small_train, "train_step", "training.class_weight=balanced")
    assert [cause.rpartition("(")[2] for cause in found.causes] == ["weights_ignored)"]


@pytest.mark.parametrize(
    ("function", "by_class", "named"),
    dealt_out(
        [
            ("train_step", "none", ["weights_ignored)"]),
            ("weighted_step", "balanced", []),
            ("weighted_loop", "none", []),
            ("weighted_step", "only classes", []),
        ],
        first=1,
    ),
)
def test_weights_of_examples_are_heeded_or_named(
    function: str, by_class: str, named: list[str], small_train: ExampleStore
) -> None:
    weights = np.linspace(0, 3, len(small_train), dtype=np.float32)
    weighted = replace(small_train, weights=weights)
    if by_class == "only classes":
        weighted, by_class = small_train, "balanced"
    settings = [f"training.class_weight={by_class}", "training.batch_size=50"]
    found = explained(weighted, function, *settings)
    assert [cause.rpartition("(")[2] for cause in found.causes] == named
    assert found.verdict == ("causes_found" if named else "identical")


@pytest.mark.in_turn(4)
def test_one_that_fails_is_shown_its_own_traceback(small_train: ExampleStore) -> None:
    with pytest.raises(TwintrainError, match=r"(?s)failing fails:.*line \d+.*ValueError: no"):
        explained(small_train, "failing")


def test_what_is_not_known_is_not_claimed() -> None:
    """By hand: nothing was found, and a look is open."""
    found = OwnLoop(verdict="unknown", causes=[], compared=["steps: 20"], open=["logs: none kept"])
    assert found.sentence() == "The diagnosis names no cause: logs: none kept."
