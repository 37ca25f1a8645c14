"""What the pipeline needs of a curated schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.curated_schema import count_labels, load_rules
from tests.conftest import DATA
from twintrain.errors import TwintrainError

COLUMNS = ("image", "label", "example_id")


def test_the_bundled_schema_has_what_is_needed() -> None:
    assert count_labels(load_rules(DATA / "schema.pbtxt", COLUMNS, "label"), "label") == 10


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
    ],
)
def test_a_schema_that_cannot_work_is_explained(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "schema.pbtxt").write_text(text)
    with pytest.raises(TwintrainError, match=expected):
        load_rules(tmp_path / "schema.pbtxt", COLUMNS, "label")
