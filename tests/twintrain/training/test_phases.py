"""What trains in which phase, and that a model trains afterwards as it was built."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.training.phases import AsBuilt, phases_of

TWO = ["training.epochs=5", "fine_tuning.frozen_epochs=2", "fine_tuning.layers=[body]"]


def recipe(*overrides: str) -> Recipe:
    return load_recipe("standard", list(overrides))


def model() -> keras.Model:
    """A body of two layers, one of them frozen for good, and a head."""
    body = keras.Sequential(
        [
            keras.layers.Dense(3, name="first", trainable=False),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(3, name="second"),
        ],
        name="body",
    )
    return keras.Sequential([keras.Input((4,)), body, keras.layers.Dense(1, name="head")])


def trained(built: keras.Model) -> set[str]:
    return {variable.path.split("/")[-2] for variable in built.trainable_variables}


def test_without_frozen_epochs_there_is_one_phase() -> None:
    plain = recipe("training.epochs=5")
    (phase,) = phases_of(plain)
    assert (phase.first, phase.end, phase.frozen, phase.last) == (0, 5, (), True)
    assert phase.recipe == plain


def test_the_two_phases_share_the_epochs_and_each_has_its_own_rate() -> None:
    first, second = phases_of(
        recipe(
            *TWO,
            "fine_tuning.learning_rate=0.00001",
            "early_stopping.enabled=true",
            "early_stopping.monitor=loss",
        )
    )
    assert (first.first, first.end, first.frozen, first.last) == (0, 2, ("body",), False)
    assert (second.first, second.end, second.frozen, second.last) == (2, 5, (), True)
    assert (first.recipe.training.epochs, second.recipe.training.epochs) == (2, 3)
    assert first.recipe.optimizer.learning_rate == 0.001
    assert second.recipe.optimizer.learning_rate == 0.00001
    # A first phase goes to its end.
    assert not first.recipe.early_stopping.enabled
    assert second.recipe.early_stopping.enabled


def test_a_trial_that_is_too_short_for_the_second_phase_has_only_the_first() -> None:
    whole = recipe(*TWO)
    short = whole.model_copy(
        update={"training": whole.training.model_copy(update={"epochs": 1})}
    )  # as the search makes it
    (phase,) = phases_of(short)
    assert (phase.first, phase.end, phase.frozen, phase.last) == (0, 1, ("body",), True)


def test_what_was_frozen_for_good_stays_so() -> None:
    built = model()
    as_built = AsBuilt(built)
    before = trained(built)
    assert before == {"norm", "second", "head"}
    as_built.freeze(("body",))
    assert trained(built) == {"head"}
    as_built.freeze(("second",))
    assert trained(built) == {"norm", "head"}
    as_built.freeze(())
    assert trained(built) == before
    assert not built.get_layer("body").get_layer("first").trainable


def test_a_layer_within_two_models_keeps_what_it_was() -> None:
    shared = keras.layers.BatchNormalization(trainable=False)
    inputs = keras.Input((4,))
    one = keras.Sequential([keras.Input((4,)), shared], name="one")
    other = keras.Sequential([keras.Input((4,)), shared, keras.layers.Dense(2)], name="other")
    built = keras.Model(inputs, other(one(inputs)))
    one.trainable = other.trainable = True
    shared.trainable = False
    before = trained(built)
    as_built = AsBuilt(built)
    as_built.freeze(("one",))
    as_built.freeze(())
    assert not shared.trainable
    assert trained(built) == before


def test_a_variable_that_was_frozen_by_itself_stays_so() -> None:
    built = model()
    built.get_layer("head").bias.trainable = False
    as_built = AsBuilt(built)
    as_built.freeze(("body",))
    as_built.freeze(())
    assert not built.get_layer("head").bias.trainable
    assert built.get_layer("head").kernel.trainable


def test_a_frozen_batch_normalization_works_as_in_inference() -> None:
    built = model()
    as_built = AsBuilt(built)
    rows = np.random.default_rng(0).normal(3, 2, (64, 4)).astype("float32")

    def moved() -> bool:
        before = np.asarray(built.get_layer("body").get_layer("norm").moving_mean)
        built(rows, training=True)
        return not np.array_equal(before, built.get_layer("body").get_layer("norm").moving_mean)

    as_built.freeze(("body",))
    assert not moved()
    as_built.freeze(())
    assert moved()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("boddy",), "no layer 'boddy'"),
        (("body", "head"), "nothing trains beside body, head"),
    ],
)
def test_layers_that_do_not_fit_are_named(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(TwintrainError, match=said) as caught:
        AsBuilt(model()).freeze(names)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["fine_tuning.frozen_epochs=1"], "go together"),
        (["fine_tuning.layers=[body]"], "go together"),
        (["fine_tuning.learning_rate=0.1"], "second phase"),
        ([*TWO, "fine_tuning.layers=[body, body]"], "named twice"),
        ([*TWO, "training.epochs=2"], "leaves no epoch"),
        ([*TWO, "twins.loop=mine:custom_loop"], "has its phases in itself"),
    ],
)
def test_what_makes_no_two_phases_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(TwintrainError, match=said):
        recipe(*overrides)
