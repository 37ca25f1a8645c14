"""Sequences padded to different lengths, which a model with masks does not tell apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from twintrain.diagnosis.replay.compare import all_close_to
from twintrain.diagnosis.replay.model_calls import call_model, compute_dtype, outputs_of, weights_of
from twintrain.diagnosis.replay.tolerances import RECOGNISED, forward_tolerance
from twintrain.diagnosis.watch.trace import CompleteStep

_ROWS = 64  # called again, at most


def only_padded(one: CompleteStep, other: list[np.ndarray], width: int) -> bool:
    """Whether a model gives the same for its inputs, padded as the other side pads.

    Args:
        one: a step on token ids, [rows, length].
        other: batches of the other side's inputs, as rows.
        width: its length.
    """
    inputs = np.asarray(one.inputs)
    if inputs.ndim != 2 or inputs.dtype.kind not in "iu" or inputs.shape[1] == width:
        return False
    mine = _trimmed([inputs])
    theirs = _trimmed(other)
    if len(mine & theirs) <= RECOGNISED * min(len(mine), len(theirs)):
        return False
    rows = inputs[:_ROWS]
    padded = np.zeros((len(rows), width), inputs.dtype)
    shared = min(width, inputs.shape[1])
    if rows[:, shared:].any():
        return False
    padded[:, :shared] = rows[:, :shared]
    with weights_of(one.model, one.before, one.states):
        as_it_is, otherwise = (outputs_of(call_model(one.model, x, False)) for x in (rows, padded))
    return all_close_to(as_it_is, otherwise, forward_tolerance(compute_dtype(one.model)))


def _trimmed(batches: Iterable[np.ndarray]) -> set[bytes]:
    """The rows, without the zeros at their ends."""
    return {
        np.trim_zeros(row.astype(np.int64), "b").tobytes() for batch in batches for row in batch
    }
