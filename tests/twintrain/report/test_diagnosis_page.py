"""The page of a diagnosis."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.twintrain.diagnosis.diagnoses import PATCH, cause, diagnosis
from twintrain.diagnosis.result import Look, Place
from twintrain.parity.divergence import Difference, Divergence
from twintrain.report.diagnosis_page import MOST_ROWS, render_diagnosis, write_diagnosis

EVIL = "<script>alert('x')</script> & \"more\""
ROW = {"stage": "loss", "tensor": EVIL, "max_abs": 1.0, "max_rel": None, "max_ulps": 3}


def test_what_stands_in_the_users_code_is_text() -> None:
    place = Place(file=f"{EVIL}.py", line=3, code=EVIL)
    found = diagnosis(
        causes=[cause(places=[place], fix=EVIL), cause(patch=f"{PATCH}+{EVIL}")],
        unexplained=[EVIL],
        failures=[EVIL],
        notes=[EVIL],
        ruled_out=[EVIL],
        coverage=[Look(what=EVIL, compared=False, said=EVIL, open=True)],
        tables=[[Difference(**ROW)]],
        first_divergence=Divergence(**ROW, step=1),
        phases={EVIL: 1.0},
    )
    page = render_diagnosis(found, EVIL)
    assert page.count("&lt;script&gt;") >= 15
    assert "<script" not in page
    assert 'src="http' not in page


def test_the_page_tells_lines_patch_chart_and_tables() -> None:
    place = Place(file="a.py", line=3, code="y = model(x)")
    rows = [
        Difference(stage="loss", tensor=f"t{i}", max_abs=float(i), max_rel=1.0, max_ulps=None)
        for i in range(MOST_ROWS + 5)
    ]
    found = diagnosis(
        causes=[cause(places=[place], patch=PATCH), cause("loss_reduction", evidence=[])],
        tables=[rows, [Difference(**{**ROW, "max_abs": None})]],
        curve=[1e-3, 0.7, 0.5],
    )
    page = render_diagnosis(found, "a.py")
    assert "<strong>a.py:3</strong> y = model(x)" in page
    assert "<del>-y = model(x)</del>" in page
    assert "compute_average_loss" in page  # the example, where there is no patch
    assert "<svg" in page
    said = "0.001 after step 1 and 0.5 after step 3; at most it is 0.7, after step 2."
    assert said in page
    assert "5 more tensors differ less." in page
    assert '<td class="text">t4</td>' not in page
    assert len(re.findall("<details>", page)) == 3


def test_two_that_are_identical_have_no_chart() -> None:
    page = render_diagnosis(diagnosis("identical", curve=[0.0, 0.0]), "a.py")
    assert "train alike" in page
    assert "<svg" not in page
    assert "No step was compared" in render_diagnosis(diagnosis("unknown", curve=[], steps=0), "a")


def test_the_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    write_diagnosis(diagnosis("identical"), "a.py", path)
    before = path.read_text(encoding="utf-8")
    monkeypatch.setattr("twintrain.processes.replacing.put_in_place", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_diagnosis(diagnosis(causes=[cause()]), "a.py", path)
    assert path.read_text(encoding="utf-8") == before
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
