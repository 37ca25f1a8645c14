"""Layers that compute as if nothing were masked."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from twintrain.diagnosis.replay.masks import without_masks

L = keras.layers
TOKENS = np.array([[1, 2, 0, 0, 0], [3, 1, 2, 4, 0]])
SERIES = (TOKENS[..., None] > 0).astype("float32")


def functional() -> keras.Model:
    tokens = keras.Input((5,), dtype="int32")
    return keras.Model(tokens, L.LSTM(3)(L.Embedding(7, 3, mask_zero=True)(tokens)))


def sequential() -> keras.Model:
    return keras.Sequential([L.Embedding(7, 3, mask_zero=True), L.GlobalAveragePooling1D()])


def masking() -> keras.Model:
    series = keras.Input((5, 1))
    return keras.Model(series, L.Bidirectional(L.GRU(2))(L.Masking()(series)))


def attention() -> keras.Model:
    tokens = keras.Input((5,), dtype="int32")
    x = L.Embedding(7, 4, mask_zero=True)(tokens)
    return keras.Model(tokens, L.MultiHeadAttention(2, 2)(x, x))


@pytest.mark.parametrize(
    ("build", "x"),
    [(functional, TOKENS), (sequential, TOKENS), (masking, SERIES), (attention, TOKENS)],
)
def test_masks_are_ignored_and_then_heeded_again(
    build: Callable[[], keras.Model], x: np.ndarray
) -> None:
    model = build()
    masked = np.asarray(model(x))
    with without_masks():
        unmasked = np.asarray(model(x))
    assert np.abs(masked - unmasked).max() > 1e-3
    assert np.array_equal(model(x), masked)


def test_masks_that_hang_on_the_inputs_are_ignored_too() -> None:
    embedded = L.Embedding(7, 3, mask_zero=True)(TOKENS)
    pooling = L.GlobalAveragePooling1D()
    with without_masks():
        assert np.allclose(pooling(embedded), np.mean(embedded, axis=1))
    assert not np.allclose(pooling(embedded), np.mean(embedded, axis=1))


def test_without_masks_a_model_computes_what_one_without_masking_does() -> None:
    tokens = keras.Input((5,), dtype="int32")
    plain = keras.Model(tokens, L.LSTM(3)(L.Embedding(7, 3)(tokens)))
    model = functional()
    plain.set_weights(model.get_weights())
    with without_masks():
        assert np.allclose(model(TOKENS), plain(TOKENS), atol=1e-6)
