"""The settings of two models, layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest

from tests.twintrain.diagnosis.traces import Practice, named, nothing, pair_of, small_model
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.stages.layer_settings import check_settings
from twintrain.diagnosis.stages.models import check_models


def test_equal_models_name_nothing() -> None:
    pair = pair_of()
    check_models(pair)
    assert nothing(pair)


def frozen() -> keras.Model:
    model = small_model()
    model.layers[1].trainable = False
    return model


@pytest.mark.parametrize(
    ("right", "wrong", "id_", "stage", "observed"),
    [
        (
            lambda: small_model(dropout=0.2),
            lambda: small_model(dropout=0.8),
            "dropout_rate_inverted",
            Stage.FORWARD,
            "0.8",
        ),
        (
            lambda: small_model(regularizer=keras.regularizers.L2(0.01)),
            small_model,
            "regularization_losses_missing",
            Stage.LOSS,
            "None",
        ),
        (
            lambda: small_model(constraint=keras.constraints.NonNeg()),
            small_model,
            "constraints_not_applied",
            Stage.UPDATE,
            "None",
        ),
        (small_model, frozen, "trainable_flags", Stage.UPDATE, "False"),
    ],
)
def test_a_setting_that_differs_is_named(
    right: Callable[[], keras.Model],
    wrong: Callable[[], keras.Model],
    id_: str,
    stage: Stage,
    observed: str,
) -> None:
    pair = pair_of(fit=Practice(build=right), loop=Practice(build=wrong))
    check_models(pair)
    check_settings(pair)
    assert named(pair) == [(id_, "custom_loop", 0)]
    assert pair.findings.causes[0].first_visible is stage
    assert pair.findings.causes[0].evidence[0].observed == observed


def test_fit_is_at_fault_where_the_loop_trains_what_was_built() -> None:
    fit, loop = (Practice(build=lambda r=r: small_model(dropout=r)) for r in (0.8, 0.2))
    pair = pair_of(fit=fit, loop=loop)
    pair.subject.functions["build_model"] = loop.build
    check_models(pair)
    assert named(pair) == [("dropout_rate_inverted", "keras_fit", 0)]


def test_other_rates_and_other_layers_are_not_explained() -> None:
    fit, loop = (Practice(build=lambda r=r: small_model(dropout=r)) for r in (0.2, 0.5))
    pair = pair_of(fit=fit, loop=loop)
    check_models(pair)
    assert pair.findings.unexplained == [
        "Dropout.rate is 0.5 in custom_loop and 0.2 on the other side"
    ]
    pair = pair_of(fit=fit)
    check_models(pair)
    check_settings(pair)
    assert pair.findings.unexplained == ["the two sides train models of different layers"]


class Scaled(keras.layers.Layer):
    """A layer with a weight, which describes itself, or not."""

    def __init__(self, raises: Exception | None = None, holds: object = None) -> None:
        super().__init__()
        self.raises, self.holds = raises, holds
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x: object) -> object:
        return self.scale * x

    def get_config(self) -> dict[str, object]:
        if self.raises is not None:
            raise self.raises
        return {"holds": keras.saving.serialize_keras_object(self.holds)}


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (lambda: Scaled(raises=NotImplementedError("not for me")), []),
        (lambda: Scaled(holds=iter([])), []),
        (lambda: Scaled(raises=TypeError("'int' is not iterable")), ["'int' is not iterable"]),
        (lambda: Scaled(raises=AttributeError("no rate")), ["no rate"]),
    ],
    ids=["says so", "holds what cannot be written", "mistake of its own", "another"],
)
def test_a_layer_that_cannot_describe_itself_is_told_from_a_mistake_in_its_code(
    layer: Callable[[], keras.layers.Layer], told: list[str]
) -> None:
    def build() -> keras.Model:
        return keras.Sequential([small_model(dropout=0.2), layer()])

    practice = Practice(build=build)
    pair = pair_of(fit=practice, loop=practice)
    check_models(pair)
    assert not pair.findings.causes
    assert len(pair.findings.notes) == len(told)
    assert all(text in note for text, note in zip(told, pair.findings.notes, strict=True))
