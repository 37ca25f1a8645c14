"""Causes read off steps that do not belong together, against the weights."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.twintrain.diagnosis.traces import named, pair_of
from twintrain.diagnosis.stages.contradicted import acquit_steps
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.trace import Trace


def other_rows(fit: Trace, loop: Trace) -> None:
    """The loop's steps look like steps on other rows; its weights are fit's."""
    draw = np.random.default_rng(0)
    for step in loop.steps:
        step.inputs = tf.constant(draw.normal(size=step.inputs.shape).astype("float32"))
        step.element = None


def pair_with(*ids: str, apart: bool = False) -> Pair:
    pair = pair_of(plant=other_rows)
    for id_ in ids:
        pair.findings.name_cause(id_, "custom_loop", 0, by_reading("rows", 1, 2))
    if apart:
        assert pair.loop.trace.kept is not None
        pair.loop.trace.kept = [value + 0.1 for value in pair.loop.trace.kept]
    return pair


def test_what_the_weights_contradict_is_taken_back() -> None:
    pair = pair_with("batch_size_differs", "trainable_flags")
    acquit_steps(pair, 8, frozenset())
    assert not named(pair)
    assert {"batch_size_differs", "trainable_flags"} <= pair.findings.ruled_out
    (note,) = pair.findings.notes
    assert "each of 8 epochs with the same weights" in note


@pytest.mark.parametrize(
    ("ids", "epochs", "apart"),
    [
        (("batch_size_differs",), 0, False),
        (("batch_size_differs",), 1, False),
        (("batch_size_differs",), 8, True),
        (("batch_size_differs", "clipping_missing"), 8, False),
    ],
    ids=["parted later", "one epoch", "parted in the watched epochs", "may act later"],
)
def test_nothing_is_taken_back_that_they_do_not(
    ids: tuple[str, ...], epochs: int, apart: bool
) -> None:
    pair = pair_with(*ids, apart=apart)
    acquit_steps(pair, epochs, frozenset())
    assert [id_ for id_, *_ in named(pair)] == list(ids)


def test_what_was_found_otherwise_stays() -> None:
    pair = pair_with("batch_size_differs", "epochs_differ")
    acquit_steps(pair, 8, frozenset({"epochs_differ"}))
    assert [id_ for id_, *_ in named(pair)] == ["epochs_differ"]


def test_steps_that_belong_together_are_believed() -> None:
    pair = pair_of()
    pair.findings.name_cause("trainable_flags", "custom_loop", 0, by_reading("rows", 1, 2))
    acquit_steps(pair, 8, frozenset())
    assert named(pair)
