"""A side as a graph, held against itself as plain Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import named, pair_of, small_model
from twintrain.diagnosis.replay.parting import Parting
from twintrain.diagnosis.stages.graph_mode import GraphReading, check_graphs, read_graph
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.python_values import DRAWS, Change
from twintrain.diagnosis.watch.trace import FIT, LOOP, snapshot
from twintrain.diagnosis.watch.user_module import Manner, UserCodeError

APART = Parting(2, 0.3, 0.5)
WEIGHT = Change("weight", "weight", "train_step", 0.0, 0.5)
FLAG = Change("model.0.trainable", "base.trainable", "step", (False, ()), (True, ()))


def run(*ends: float, calls: int = 3) -> Milestones:
    """A run whose weights are so far from their start after each epoch."""
    found = Milestones(small_model())
    start = snapshot(found.model)
    found.states = [start, *([value + np.float32(end) for value in start] for end in ends)]
    found.kept, found.calls = found.states[-1], calls
    return found


GRAPH, PLAIN = run(0.1, 0.2), run(0.1, 0.5)


def runner(frozen: dict[frozenset[str] | None, Milestones | None]) -> Callable[..., Milestones]:
    """Runs a side: as plain Python, or with some values frozen; None raises."""

    def found(side: str, manner: Manner) -> Milestones:
        if not manner.eager:
            return GRAPH
        if manner.nudge:
            return PLAIN
        if manner.freezing is None:
            key: frozenset[str] | None = frozenset()
        else:
            key = manner.freezing._chosen
            manner.freezing.changes = {c.key: c for c in (WEIGHT, FLAG, draws())}
        run = frozen.get(key, PLAIN)
        if run is None:
            raise UserCodeError(side, "ValueError: unknown variable")
        return run

    return found


def draws() -> Change:
    return Change(DRAWS, DRAWS, "step", b"1", b"2")


@pytest.mark.parametrize("changed", [WEIGHT, FLAG, draws()], ids=lambda change: change.name)
def test_the_value_that_gives_the_graphs_weights_is_found(changed: Change) -> None:
    known = {None: GRAPH, frozenset({changed.key}): GRAPH}
    found = read_graph(LOOP, GRAPH, runner(known), 1e-6, 0)
    assert found.apart is not None
    assert found.apart.epoch == 2
    assert found.explained
    assert found.frozen == [changed]


def test_values_that_only_together_give_them_are_told_together() -> None:
    found = read_graph(LOOP, GRAPH, runner({None: GRAPH}), 1e-6, 0)
    assert [change.name for change in found.frozen] == ["weight", "base.trainable", DRAWS]


def test_what_no_frozen_value_gives_stays_unexplained() -> None:
    found = read_graph(LOOP, GRAPH, runner({}), 1e-6, 0)
    assert (found.parts, found.explained, found.frozen) == (True, False, [])


def test_plain_python_that_raises_is_explained_by_frozen_values() -> None:
    known = {frozenset(): None, None: GRAPH, frozenset({FLAG.key}): GRAPH}
    found = read_graph(FIT, GRAPH, runner(known), 1e-6, 0)
    assert (found.parts, found.explained, found.frozen) == (True, True, [FLAG])


def test_a_side_without_functions_is_not_run_again() -> None:
    def never(side: str, manner: Manner) -> Milestones:
        pytest.fail("was run")

    found = read_graph(LOOP, run(0.1, calls=0), never, 1e-6, 0)
    assert (found.parts, found.eager) == (False, None)


def same() -> GraphReading:
    return GraphReading(GRAPH, 3, GRAPH)


def frozen(*changes: Change) -> GraphReading:
    return GraphReading(GRAPH, 3, PLAIN, "", APART, list(changes), GRAPH)


@pytest.mark.parametrize("side", [FIT, LOOP])
@pytest.mark.parametrize(
    ("change", "id_"), [(WEIGHT, "python_value_frozen_in_trace"), (FLAG, "trainable_flags")]
)
def test_a_frozen_value_is_named_with_a_replay(change: Change, id_: str, side: str) -> None:
    pair = pair_of()
    readings = {FIT: same(), LOOP: same(), side: frozen(change)}
    assert check_graphs(pair, readings, APART)
    assert named(pair) == [(id_, side, None)]
    cause = pair.findings.causes[0]
    moved, value = cause.evidence
    assert moved.kind == "replay"
    assert moved.observed == moved.replayed != moved.correct
    assert value.quantity == f"{change.name}, read by {change.function}"
    assert change.name.removesuffix(".trainable") in cause.fix


def test_what_both_sides_freeze_alike_is_no_difference() -> None:
    pair = pair_of()
    check_graphs(pair, {FIT: frozen(WEIGHT), LOOP: frozen(WEIGHT)}, None)
    assert not pair.findings.causes
    assert not pair.findings.differing
    assert all("changes weight after" in note for note in pair.findings.notes)
    assert len(pair.findings.notes) == 2


def test_a_graph_that_is_another_training_unexplained_is_never_identical() -> None:
    pair = pair_of()
    check_graphs(pair, {FIT: same(), LOOP: GraphReading(GRAPH, 3, PLAIN, "", APART)}, APART)
    assert not pair.findings.causes
    assert "custom_loop trains otherwise in tf.function" in pair.findings.differing[0]


def test_plain_python_that_does_not_end_in_time_leaves_the_comparison_open() -> None:
    pair = pair_of()
    cut = read_graph(LOOP, GRAPH, lambda side, manner: None, 1e-6, 0)
    check_graphs(pair, {FIT: same(), LOOP: cut}, None)
    (look,) = pair.findings.looks
    assert (look.compared, look.open) == (False, True)
    assert look.said == "custom_loop did not come to its end as plain Python in time"


def test_plain_python_that_raises_leaves_the_comparison_open() -> None:
    pair = pair_of()
    raising = GraphReading(GRAPH, 3, error="Traceback\nValueError: no")
    check_graphs(pair, {FIT: same(), LOOP: raising}, None)
    (look,) = pair.findings.looks
    assert (look.compared, look.open) == (False, True)
    assert look.said == "custom_loop runs in tf.function and raises as plain Python: ValueError: no"
