"""A diagnosis as workflow commands."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twintrain.diagnosis.diagnoses import cause, diagnosis
from twintrain.diagnosis.github import command, commands
from twintrain.diagnosis.result import Look, Place

ANYTHING = st.text(st.characters(codec="utf-8")) | st.text(alphabet="%:,\r\n=25AD0 ")


@given(title=ANYTHING, message=ANYTHING, file=ANYTHING)
def test_whatever_is_told_stays_in_its_place(title: str, message: str, file: str) -> None:
    line = command("error", title, message, Place(file=file, line=7, code=""))
    assert "\n" not in line
    assert "\r" not in line
    head, told = line.removeprefix("::").split("::", 1)
    kind, properties = head.split(" ", 1)
    read = dict(part.split("=", 1) for part in properties.split(","))
    assert {name: unquote(value) for name, value in read.items()} == {
        "file": file,
        "line": "7",
        "title": title,
    }
    assert (kind, unquote(told)) == ("error", message)


def test_a_cause_is_an_error_at_its_line() -> None:
    (line,) = commands(diagnosis(causes=[cause(places=[Place(file="a.py", line=3, code="x")])]))
    assert line.startswith(
        "::error file=a.py,line=3,title=custom_loop calls the model without training=True.::"
        "training_flag_missing. First seen in: forward output, step 1."
    )
    assert "%0AFix: Pass training=True" in line


def test_a_file_is_told_from_the_root_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path / "sub")
    place = Place(file="mine.py", line=1, code="")
    assert command("error", "t", "m", place) == "::error file=sub/mine.py,line=1,title=t::m"


def test_unknown_is_a_warning_and_identical_a_notice() -> None:
    look = Look(what="epochs", compared=False, said="it was stopped", open=True)
    (line,) = commands(diagnosis("unknown", unexplained=["the loss"], coverage=[look]))
    assert line.startswith("::warning title=keras_fit and custom_loop differ%2C and no ")
    assert line.endswith("::the loss%0Anot compared: epochs (it was stopped)")
    (line,) = commands(diagnosis("identical"))
    assert line.startswith("::notice title=keras_fit and custom_loop train alike.::")
