"""Loops of a program: followed, and ended early, with everything else as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twintrain.diagnosis.scripts.scripts_of_people import program
from twintrain.diagnosis.scripts.loops import Loops, Pass, _length, _repeats, holds_rows

NESTED = """
out = []
for i in range({outer}):
    for j in range({inner}):
        if j == {leave}:
            break
        out.append((i, j))
    else:
        out.append("whole")
k = 0
while k < {outer}:
    k += 1
    while True:
        k += 1
        break
squares = [a * b for a in range({outer}) for b in range({inner})]
"""


def ran(folder: Path, text: str, loops: Loops) -> dict[str, Any]:
    return program(folder, text).run(loops)


@settings(max_examples=30)  # a collection of garbage after each
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 5))
def test_a_program_whose_loops_go_on_is_what_it_was(
    tmp_path_factory: Any, outer: int, inner: int, leave: int
) -> None:
    text = NESTED.format(outer=outer, inner=inner, leave=leave)
    folder = tmp_path_factory.mktemp("program")
    found = ran(folder, text, Loops(lambda run: True))
    plain: dict[str, Any] = {}
    exec(text, plain)
    assert all(found[name] == plain[name] for name in ("out", "k", "squares"))


def test_a_loop_ends_as_if_it_had_no_more_items(tmp_path: Path) -> None:
    def may_go_on(run: Pass) -> bool:
        return run.key[1] != 3 or run.items < 2

    found = ran(tmp_path, NESTED.format(outer=5, inner=2, leave=9), Loops(may_go_on))
    assert found["out"] == [(0, 0), (0, 1), "whole", (1, 0), (1, 1), "whole"]


def test_an_endless_loop_can_be_ended(tmp_path: Path) -> None:
    text = "n = 0\nwhile True:\n    n += 1\nafter = n"
    assert ran(tmp_path, text, Loops(lambda run: run.items < 7))["after"] == 7


def test_steps_are_counted_where_they_are_taken(tmp_path: Path) -> None:
    seen: list[list[tuple[int, int, int]]] = []
    loops = Loops(lambda run: True)

    def step() -> None:
        seen.append([(run.key[1], run.ordinal, run.items) for run in loops.note_step()])

    (tmp_path / "steps.py").write_text("def take(): take.step()")
    text = (
        "import steps\nfor a in range(2):\n    while True:\n        if done():\n            break\n"
        "    step()\n    [step() for _ in range(2)]\n"
    )
    helper = program(tmp_path, text)
    import builtins

    builtins.step, builtins.done = step, lambda: True  # type: ignore[attr-defined]
    try:
        helper.run(loops)
    finally:
        del builtins.step, builtins.done  # type: ignore[attr-defined]
    # The `while` that was left by `break` is not among the loops a step stands in.
    assert [len(chain) for chain in seen] == [1, 2, 2, 1, 2, 2]
    assert seen[0] == [(2, 1, 1)]
    assert seen[-1][1][1:] == (2, 2)


def test_batches_are_told_from_numbers() -> None:
    assert holds_rows((np.zeros((2, 3)), np.zeros(2)))
    assert holds_rows((0, {"x": np.zeros(3)}))
    assert not holds_rows((0, "train", 1.0, np.float32(2)))


def batches(passes: int | None = 1) -> tf.data.Dataset:
    return tf.data.Dataset.range(10).batch(4).repeat(passes)


LENGTHS: dict[str, tuple[Callable[[], Any], int | None]] = {
    "batches": (lambda: batches(), 3),
    "numbered": (lambda: enumerate(batches(2), 1), 6),
    "the shorter": (lambda: zip(batches(), batches(2), strict=False), 3),
    "numbered pairs": (lambda: enumerate(zip(range(2), batches(), strict=False)), 2),
    "for ever": (lambda: batches(None), None),
    "for ever, numbered": (lambda: enumerate(batches(None)), None),
    "iterator": (lambda: iter([1, 2]), 2),
    "generator": (lambda: (i for i in range(3)), None),
    "generator, numbered": (lambda: enumerate(i for i in range(3)), None),
}


@pytest.mark.parametrize("kind", LENGTHS)
def test_how_many_items_a_loop_has(kind: str) -> None:
    made, length = LENGTHS[kind]
    assert _length(made()) == length


@pytest.mark.parametrize(("passes", "known"), [(1, 1), (3, 3), (None, None)])
def test_how_often_a_data_set_repeats_itself(passes: int | None, known: int | None) -> None:
    assert _repeats(batches(passes).prefetch(1)) == known
    assert _repeats(enumerate(batches(passes))) == known
    assert _repeats(iter(batches(passes))) == known
    assert _repeats(range(3)) is None
