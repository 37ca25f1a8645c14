from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import twintrain
from tests.conftest import REPOSITORY
from tests.odd_inputs import NEARLY_RIGHT, refusal
from twintrain.errors import TwintrainError
from twintrain.parsing.sealed import sealed_json

EXAMPLE = REPOSITORY / "docs" / "example"


def test_a_root_a_folder_and_a_file_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    text = (EXAMPLE / "comparison.json").read_text()
    (tmp_path / "report" / "comparison.json").write_text(text)
    found = twintrain.load(tmp_path)
    assert found == twintrain.load(EXAMPLE) == twintrain.load(EXAMPLE / "comparison.json")
    page = found._repr_html_()
    assert found.sentence.split(",")[0] in page
    assert found.attribution is not None
    assert found.attribution._repr_html_() in page


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 1}'])
def test_what_is_no_comparison_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "comparison.json").write_text(text, encoding="latin-1")
    with pytest.raises(TwintrainError, match="not a comparison of this version"):
        twintrain.load(tmp_path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_bytes(b"\xff")
    with pytest.raises(TwintrainError, match=r"is not text in UTF-8: .* at byte 0"):
        twintrain.load(tmp_path)


def test_an_older_one_is_refused_by_its_version(tmp_path: Path) -> None:
    content = json.loads((EXAMPLE / "comparison.json").read_text()) | {"schema_version": 1}
    (tmp_path / "comparison.json").write_text(json.dumps(content))
    with pytest.raises(TwintrainError, match="schema_version"):
        twintrain.load(tmp_path)


def test_a_folder_without_one_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match=r"neither .*report.*comparison\.json"):
        twintrain.load(tmp_path)


@NEARLY_RIGHT
@given(random=st.randoms())
def test_a_comparison_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("comparison", random, read=twintrain.load)
    assert told is None or told.problem.strip()


def test_one_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    content = json.loads((EXAMPLE / "comparison.json").read_text())
    content["seeds"] = [7]
    (tmp_path / "comparison.json").write_text(json.dumps(content))
    with pytest.raises(TwintrainError, match=r"does not fit together: parity\.seeds are"):
        twintrain.load(tmp_path)


def test_a_figure_that_was_changed_by_hand_is_seen(tmp_path: Path) -> None:
    text = sealed_json(twintrain.load(EXAMPLE))
    (tmp_path / "comparison.json").write_text(text)
    assert twintrain.load(tmp_path).digest
    tree = json.loads(text)
    tree["twins"]["fit"]["mean_score"] += 0.001
    (tmp_path / "comparison.json").write_text(json.dumps(tree))
    with pytest.raises(TwintrainError, match="its digest is of another content"):
        twintrain.load(tmp_path)
