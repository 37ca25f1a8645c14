"""The weights each side starts from."""

from __future__ import annotations

import keras
import pytest

from tests.twintrain.diagnosis.traces import Practice, named, nothing, pair_of
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.stages.start import check_start
from twintrain.diagnosis.watch.trace import Trace


def moved(model: keras.Model) -> None:
    model.layers[1].kernel.assign_add(0.25 * keras.ops.ones((5, 4)))


def test_the_given_weights_are_no_pitfall() -> None:
    pair = pair_of()
    assert check_start(pair)
    assert nothing(pair)
    assert pair.findings.ruled_out == {"different_initial_weights"}


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_the_side_that_starts_elsewhere_is_named_with_the_distance(side: str) -> None:
    other = Practice(start=moved)
    pair = pair_of(fit=other) if side == "keras_fit" else pair_of(loop=other)
    check_start(pair)
    assert named(pair) == [("different_initial_weights", side, None)]
    cause = pair.findings.causes[0]
    assert cause.first_visible is Stage.START
    assert float(cause.evidence[0].observed) == pytest.approx(0.25, rel=1e-5)
    assert cause.evidence[0].expected == "0"


def test_where_both_start_elsewhere_the_loop_is_held_against_fit() -> None:
    far = Practice(start=lambda model: model.layers[1].kernel.assign_add(keras.ops.ones((5, 4))))
    pair = pair_of(fit=Practice(start=moved), loop=far)
    check_start(pair)
    assert named(pair) == [("different_initial_weights", "custom_loop", None)]


def test_models_of_other_shapes_are_not_explained() -> None:
    def wide() -> keras.Model:
        return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, "softmax")])

    pair = pair_of(loop=Practice(build=wide))
    check_start(pair)
    assert not pair.findings.causes
    assert pair.findings.unexplained == ["the two sides train models of different shapes"]


def test_a_given_model_of_another_size_is_no_distance() -> None:
    def plant(fit: Trace, loop: Trace) -> None:
        loop.initial = loop.initial[:1]

    pair = pair_of(loop=Practice(start=moved), plant=plant)
    check_start(pair)
    assert named(pair) == [("different_initial_weights", "custom_loop", None)]
