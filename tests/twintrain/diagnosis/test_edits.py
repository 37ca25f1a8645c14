"""One call in a file, changed and proven."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from twintrain.diagnosis.edits import (
    Edit,
    edited,
    unified,
    with_call_before,
    with_first,
    with_keyword,
    without_keyword,
)

FLAG = with_keyword("training", True, only_after=1)
SHUFFLE = with_call_before("shuffle", 420)
BUFFER = with_first("buffer_size", 700)
WHOLE = without_keyword("drop_remainder", True)
LOGITS = with_keyword("from_logits", True, name_of="BinaryCrossentropy")


def changed(source: str, edit: Edit) -> str | None:
    """The first call of the text, edited."""
    call = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    assert call.end_lineno is not None
    assert call.end_col_offset is not None
    return edited(source, (call.end_lineno, call.end_col_offset), edit)


@pytest.mark.parametrize(
    ("edit", "source", "expected"),
    [
        (FLAG, "y = model(x)", "y = model(x, training=True)"),
        (FLAG, "é = 'ü'; y = model(é)  # ok", "é = 'ü'; y = model(é, training=True)  # ok"),
        (FLAG, "y = model((x))", "y = model((x), training=True)"),
        (FLAG, "y = model(\n    x,\n)\n", "y = model(\n    x, training=True,\n)\n"),
        (FLAG, "y = model(x, training=False)", "y = model(x, training=True)"),
        (SHUFFLE, "d = ds.batch(32)", "d = ds.shuffle(420).batch(32)"),
        (SHUFFLE, "d = (a or b).batch(32)", "d = (a or b).shuffle(420).batch(32)"),
        (BUFFER, "d = ds.shuffle(32, seed=3)", "d = ds.shuffle(700, seed=3)"),
        (BUFFER, "d = ds.shuffle(buffer_size=B)", "d = ds.shuffle(buffer_size=700)"),
        (WHOLE, "d = ds.batch(32, drop_remainder=True)", "d = ds.batch(32)"),
        (WHOLE, "d = ds.batch(drop_remainder=True, batch_size=8)", "d = ds.batch(batch_size=8)"),
        (LOGITS, "l = BinaryCrossentropy()", "l = BinaryCrossentropy(from_logits=True)"),
    ],
)
def test_a_call_is_changed_and_nothing_else(edit: Edit, source: str, expected: str) -> None:
    before, after = "a = 1  # one\n", "\nb = 2  # two\n"
    assert changed(before + source + after, edit) == before + expected + after


@pytest.mark.parametrize(
    ("edit", "source"),
    [
        (FLAG, "y = model(x, training=flag)"),
        (FLAG, "y = model(x, False)"),
        (FLAG, "y = model(x, **named)"),
        (FLAG, "y = model(*x)"),
        (SHUFFLE, "d = batch(32)"),
        (BUFFER, "d = ds.shuffle(*how)"),
        (WHOLE, "d = ds.batch(32, drop_remainder=drop)"),
        (WHOLE, "d = ds.batch(32, drop_remainder=False)"),
        (LOGITS, "l = make_loss()"),
    ],
)
def test_what_cannot_be_read_for_certain_is_left_alone(edit: Edit, source: str) -> None:
    assert changed(source, edit) is None


def test_where_no_call_ends_nothing_is_changed() -> None:
    assert edited("y = model(x)", (1, 11), FLAG) is None
    assert edited("y = model(", (1, 10), FLAG) is None


@pytest.mark.parametrize("ending", ["\n", ""])
def test_the_difference_can_be_applied(ending: str, tmp_path: Path) -> None:
    before = f"a = 1\nb = '\x0c'\ny = model(x){ending}"
    after = before.replace("model(x)", "model(x, training=True)")
    (tmp_path / "mine.py").write_text(before, encoding="utf-8")
    done = subprocess.run(
        ["git", "apply", "-"], input=unified("mine.py", before, after), text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert (tmp_path / "mine.py").read_text(encoding="utf-8") == after
