from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import write_idx
from twintrain.data.spans import MARKER, choose_span, span_folder, span_pattern
from twintrain.errors import TwintrainError


@pytest.fixture
def spans(tmp_path: Path) -> Path:
    for span in (1, 2, 10):
        (tmp_path / f"span-{span}").mkdir()
        write_idx(tmp_path / f"span-{span}", {"train": 40, "eval": 20})
    return tmp_path


def test_the_newest_by_number_is_taken(spans: Path) -> None:
    assert choose_span(spans, None) == (10, [])
    assert choose_span(spans, 2) == (2, [])
    assert span_folder(spans, 10) == spans / "span-10"


def test_a_half_written_span_waits(spans: Path) -> None:
    images = next((spans / "span-10").glob("train-images*"))
    images.write_bytes(images.read_bytes()[:-100])
    span, skipped = choose_span(spans, None)
    assert span == 2
    assert skipped[0].startswith("Span 10 is not complete: ")
    assert "train-images" in skipped[0]
    with pytest.raises(TwintrainError, match="Span 10 is not complete"):
        choose_span(spans, 10)


def test_a_marker_decides_where_there_is_one(spans: Path) -> None:
    (spans / "span-1" / MARKER).touch()
    assert choose_span(spans, None)[0] == 1
    (spans / "span-10" / MARKER).touch()
    assert choose_span(spans, None)[0] == 10


def test_nothing_complete_is_said_with_every_reason(tmp_path: Path) -> None:
    for span in (1, 2):
        (tmp_path / f"span-{span}").mkdir()
    with pytest.raises(TwintrainError, match=r"No span is complete\.\nSpan 2 .*\nSpan 1 "):
        choose_span(tmp_path, None)


def test_data_without_spans(idx_folder: Path) -> None:
    assert choose_span(idx_folder, None) == (None, [])
    assert span_folder(idx_folder, None) == idx_folder
    with pytest.raises(TwintrainError, match="has no span-N directories"):
        choose_span(idx_folder, 4)


def test_digits_are_counted_for_tfx(tmp_path: Path) -> None:
    for name in ("span-7", "span-0012"):
        (tmp_path / name).mkdir()
    assert span_pattern(tmp_path, 7) == "span-{SPAN}"
    assert span_pattern(tmp_path, 12) == "span-{SPAN:4}"
