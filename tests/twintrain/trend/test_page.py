from __future__ import annotations

import re

from tests.twintrain.trend.records import record
from twintrain.trend.monitor import judge
from twintrain.trend.page import render_trend


def test_the_page_shows_every_span_and_what_to_look_at() -> None:
    page = render_trend(judge([record(0), record(1), record(2, loop=0.8)]))
    assert "Span 2 needs a look." in page
    assert len(re.findall(r'<th scope="row">\d', page)) == 3
    assert "the loop is 15.00 points below fit" in page
    assert page.count("<svg") == 4
    assert not re.search(r'(src|href)="http', page)


def test_a_quiet_trend_says_so() -> None:
    assert "Nothing to be alarmed at." in render_trend(judge([record(0)]))


def test_names_from_data_are_text() -> None:
    evil = "<script>alert(1)</script>"
    page = render_trend(
        judge(
            [record(0, recipe=evil, slices={f"label={evil}": (0.9, 0.9)}), record(1, recipe=evil)]
        )
    )
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
