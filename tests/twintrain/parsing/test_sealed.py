from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from twintrain.parsing.sealed import sealed_json, was_changed

FIGURES = st.dictionaries(
    st.text(max_size=5),
    st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.text()),
)


class Document(BaseModel):
    held: dict[str, Any]
    digest: str = ""


@given(FIGURES)
def test_what_was_written_is_not_changed_however_it_is_laid_out(held: dict[str, Any]) -> None:
    text = sealed_json(Document(held=held))
    assert not was_changed(text)
    assert not was_changed(text.encode())
    assert not was_changed(json.dumps(json.loads(text), sort_keys=True))
    assert sealed_json(Document.model_validate_json(text)) == text


@given(FIGURES)
def test_every_change_is_seen(held: dict[str, Any]) -> None:
    tree = json.loads(sealed_json(Document(held=held)))
    tree["held"]["one more"] = 0
    assert was_changed(json.dumps(tree))


def test_a_later_version_with_more_fields_accuses_nobody() -> None:
    class Later(Document):
        more: list[str] = []

    text = sealed_json(Document(held={"a": 1}))
    assert Later.model_validate_json(text).more == []
    assert not was_changed(text)


@pytest.mark.parametrize("text", ["{}", "[1]", "3", '{"digest": ""}', '{"held": 1}'])
def test_without_a_digest_nothing_is_said(text: str) -> None:
    assert not was_changed(text)
