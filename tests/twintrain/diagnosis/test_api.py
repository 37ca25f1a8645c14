"""Diagnosis from Python, in tests and in notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

import twintrain
from tests.twintrain.diagnosis.scripts.scripts_of_people import DATA, FIT, LOOP
from twintrain.diagnosis import api

WRONG = LOOP.replace(".shuffle(120)", "")


@pytest.mark.in_turn(2)
def test_a_file_is_diagnosed_in_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(DATA + FIT + WRONG)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(AssertionError, match="does not shuffle its training data") as caught:
        twintrain.assert_same_training(file)
    assert "train.py:" in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.in_turn(0)
def test_a_cell_is_diagnosed_with_those_before_it() -> None:
    magics: dict[str, Any] = {}

    class Shell:
        user_ns: ClassVar[dict[str, Any]] = {
            "In": ["", "%matplotlib inline\n" + DATA, FIT, "%%diagnose\n"]
        }

        def register_magic_function(self, function: Any, kind: str, name: str) -> None:
            magics[name] = (function, kind)

    twintrain.load_ipython_extension(Shell())
    function, kind = magics["diagnose"]
    assert kind == "cell"
    assert [cause.id for cause in function("", WRONG).causes] == ["shuffle_missing"]


def test_functions_are_diagnosed_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        "twintrain.diagnosis.diagnose.diagnose", lambda *code, **named: seen.append((code, named))
    )
    api.diagnose(print, print, print, print, deadline=3.0)
    assert len(seen[0][0]) == 4
    assert seen[0][1]["deadline"] == 3.0
