"""What all charts share: matplotlib as SVG that takes the page's own text colour (light or dark),
with tips on hover.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure

# Okabe-Ito: told apart by colour-blind readers too.
FIT, LOOP, BAD = "#0072b2", "#d55e00", "#cc3311"
INK = "#123457"  # stands for the page's text colour until the SVG is written


class Tips:
    """Texts that appear when the pointer rests on a mark."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def put(self, mark: Artist, text: str) -> None:
        """Give a mark its text."""
        name = f"tip-{len(self._texts)}"
        mark.set_gid(name)
        self._texts[name] = text

    def into(self, svg: str) -> str:
        """The SVG with a title element in every mark that has a text; names are dropped, so charts
        do not clash.
        """
        for name, text in self._texts.items():
            svg = svg.replace(f'<g id="{name}">', f"<g><title>{html.escape(text)}</title>", 1)
        return svg


def as_it_stands(text: str) -> str:
    """A text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """A figure of that many inches in the charts' style."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "twintrain",
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
        ),
    }
    with matplotlib.rc_context(style):
        yield Figure(figsize=(width, height), layout="constrained")


def as_svg(drawn: Figure, title: str, tips: Tips | None = None) -> str:
    """The figure as an SVG element that fills the width it is given."""
    buffer = io.StringIO()
    drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r'(<svg[^>]*?) width="[^"]*" height="[^"]*"',
        rf'\1 role="img" aria-label="{title}"',
        svg,
        count=1,
    )
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", svg, count=1)
    svg = svg.replace("<svg", f'<svg style="max-width: {6.5 * drawn.get_figwidth():.1f}rem"', 1)
    # Every chart numbers its parts alike; on one page the numbers must differ.
    prefix = re.sub(r"\W+", "-", title.lower())
    svg = (tips or Tips()).into(svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{prefix}-", svg)
    return svg.replace(INK, "currentColor")
