"""Sequences padded to different lengths."""

from __future__ import annotations

from typing import cast

import keras
import numpy as np

from twintrain.diagnosis.replay.padding import only_padded
from twintrain.diagnosis.watch.trace import CompleteStep, Step, snapshot

IDS = np.array([[3, 1, 0, 0], [2, 0, 0, 0], [1, 2, 3, 1]], np.int32)


def step(masked: bool) -> CompleteStep:
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(5, 3, mask_zero=masked),
            keras.layers.GRU(2),
        ]
    )
    return cast(CompleteStep, Step(model, IDS, True, None, None, 0.0, snapshot(model)))


def padded(width: int) -> np.ndarray:
    return np.pad(IDS, ((0, 0), (0, width - IDS.shape[1])))


def test_padding_that_the_model_masks_is_no_other_input() -> None:
    assert only_padded(step(masked=True), [padded(9)], 9)
    assert only_padded(step(masked=True), [padded(9)[:2], padded(9)[2:]], 9)


def test_padding_that_counts_is() -> None:
    assert not only_padded(step(masked=False), [padded(9)], 9)


def test_other_rows_and_what_is_cut_off_are() -> None:
    assert not only_padded(step(masked=True), [padded(9) + 1], 9)
    assert not only_padded(step(masked=True), [IDS[:, :2]], 2)
    assert not only_padded(step(masked=True), [IDS], 4)
    front = np.pad(IDS, ((0, 0), (5, 0)))
    assert not only_padded(step(masked=True), [front], 9)
