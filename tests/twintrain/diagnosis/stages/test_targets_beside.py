"""Targets of other rows that only a variable shows, and the loss."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.twintrain.diagnosis.traces import Practice, cross_entropy, named, pair_of
from twintrain.diagnosis.stages.loss import check_losses
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.targets import check_targets
from twintrain.diagnosis.watch.trace import Trace


def rolled(y: object, p: object, w: object) -> tf.Tensor:
    return cross_entropy(np.roll(y, 1), p, w)


def unseen(held: dict[str, int]) -> object:
    """Leaves of what the loop was fed only its variables: the targets, moved on by some rows."""

    def plant(_: Trace, loop: Trace) -> None:
        for step in loop.steps:
            targets = step.element[1]
            step.beside = {name: np.roll(targets, by) for name, by in held.items()}
            step.element, step.losses = None, []

    return plant


def looked_at(loop: Practice, held: dict[str, int]) -> Pair:
    pair = pair_of(loop=loop, plant=unseen(held))
    check_targets(pair)
    check_losses(pair)
    return pair


def test_targets_of_other_rows_in_a_variable_are_named() -> None:
    pair = looked_at(Practice(loss=rolled), {"step: weights": 2, "step: yb": 1})
    assert named(pair) == [("targets_misaligned", "custom_loop", 0)]
    assert not pair.findings.unexplained
    assert len(pair.losses) == 2


def test_a_variable_that_does_not_give_the_loss_names_nothing() -> None:
    pair = looked_at(Practice(loss=rolled), {"step: other": 2})
    assert not named(pair)
    assert pair.findings.unexplained[0].startswith("custom_loop: no replay gives the loss")
    assert all(step.fed is None for step in pair.loop.steps)


def test_variables_are_not_asked_where_the_loss_is_read() -> None:
    pair = looked_at(Practice(), {"step: other": 2})
    assert not named(pair)
    assert not pair.findings.unexplained
