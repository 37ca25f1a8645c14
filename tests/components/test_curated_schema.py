"""What the pipeline needs of a curated schema."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curated_schema import count_labels, load_rules
from tests.conftest import DATA
from tests.odd_inputs import NEARLY_RIGHT, refusal
from twintrain.errors import TwintrainError
from twintrain.problems.statement import IMAGES

COLUMNS = ("image", "label", "example_id")


def test_the_bundled_schema_has_what_is_needed() -> None:
    assert count_labels(load_rules(DATA / "schema.pbtxt", COLUMNS, IMAGES), "label") == 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("feature {", "not a schema"),
        ('feature { name: "image" type: BYTES }', "lacks example_id, label"),
        (
            'feature { name: "image" } feature { name: "example_id" } feature { name: "label" '
            "type: INT }",
            "which labels there are",
        ),
        ('feature { name: "\\377" }', "not a schema in text form"),
        ("feature { struct_domain { " * 5000, "not a schema in text form"),
        (
            'feature { name: "image" } feature { name: "example_id" } feature { name: "label" '
            "type: INT int_domain { min: 0 max: 9999999999 } }",
            "says there are 10,000,000,000 labels",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_schema_that_cannot_work_is_explained(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "schema.pbtxt").write_text(text)
    with pytest.raises(TwintrainError, match=expected):
        load_rules(tmp_path / "schema.pbtxt", COLUMNS, IMAGES)


@NEARLY_RIGHT
@given(random=st.randoms())
def test_a_schema_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("schema", random)
    assert told is None or told.problem.strip()


def test_a_schema_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "schema.pbtxt").write_bytes(b"feature \xff")
    with pytest.raises(TwintrainError, match="not text in UTF-8: invalid start byte at byte 8"):
        load_rules(tmp_path / "schema.pbtxt", COLUMNS, IMAGES)
