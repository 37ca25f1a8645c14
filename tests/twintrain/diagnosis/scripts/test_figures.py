"""Histories in a program's variables, by the names of their figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from twintrain.diagnosis.scripts.figures import figures_here

ROWS = "[{'loss': 2.0, 'f1': 0.5}, {'loss': 1.0, 'f1': 0.6}]"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"loop_rows = {ROWS}", {"loss": [2.0, 1.0], "f1": [0.5, 0.6]}),
        (f"val_rows = {ROWS}", {"val.loss": [2.0, 1.0], "val.f1": [0.5, 0.6]}),
        (
            "test_run = [{'loss': 2.0, 'val_loss': 3.0}, {'loss': 1.0, 'val_loss': 2.5}]",
            {"loss": [2.0, 1.0], "val_loss": [3.0, 2.5]},
        ),
        ("history = {'loss': [2.0, 1.0], 'n': 3}", {}),
        ("history = {'loss': [2.0, 1.0]}", {"loss": [2.0, 1.0]}),
        ("valid = {'loss': [2.0, 1.0]}", {"val.loss": [2.0, 1.0]}),
        ("losses = [2.0, 1.0]", {"losses": [2.0, 1.0]}),
        ("pairs = [(2.0, 0.5), (1.0, 0.6)]", {"pairs[0]": [2.0, 1.0], "pairs[1]": [0.5, 0.6]}),
        ("longer = [3.0, 2.0, 1.0]", {}),
        ("_ = [2.0, 1.0]", {}),
    ],
)
def test_series_of_as_many_figures_as_epochs(
    line: str, found: dict[str, list[float]], tmp_path: Path
) -> None:
    code = compile(f"{line}\nseen = look()", str(tmp_path / "program.py"), "exec")
    scope = {"look": lambda: figures_here(tmp_path, 2)}
    exec(code, scope)
    assert scope["seen"] == found
