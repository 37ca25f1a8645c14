"""The report's charts, drawn by matplotlib as SVG that takes the page's own text colour (light or dark)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from twintrain.report.comparison import Comparison

FIT, LOOP, BAD = "#0072b2", "#d55e00", "#cc3311"  # Okabe-Ito: told apart by colour-blind readers too
_INK = "#123457"  # stands for the page's text colour until the SVG is written


def forest(comparison: Comparison) -> str:
    """Difference per slice with its 95 % interval, and the margin."""
    slices = comparison.slices[::-1]
    with _figure(7.0, 0.9 + 0.3 * len(slices)) as figure:
        axes = figure.subplots()
        margin = comparison.margin_points
        axes.axvspan(-margin, margin, color=_INK, alpha=0.10, linewidth=0, label=f"margin ±{margin:g}")
        axes.axvline(0, color=_INK, linewidth=0.8)
        for row, part in enumerate(slices):
            low, high = part.ci95_points
            colour = {"fit_better": BAD, "loop_better": LOOP}.get(part.verdict, FIT)
            axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot(part.difference_points, row, "o", color=colour, markersize=7 if part.name == "overall" else 5)
        axes.set_yticks(range(len(slices)), [f"{part.name}  (n={part.n:,})" for part in slices])
        widest = max([margin, *(abs(bound) for part in slices for bound in part.ci95_points)])
        axes.set_xlim(-1.08 * widest, 1.08 * widest)
        axes.set_xlabel("loop − fit, percentage points      ← fit better · loop better →")
        axes.legend(loc="lower right", frameon=False, fontsize=9)
        return _svg(figure, "Difference in accuracy per slice with 95 % intervals")


def learning_curves(comparison: Comparison) -> str:
    """Validation accuracy and training loss of both twins over epochs, one line per seed."""
    with _figure(7.0, 3.0) as figure:
        panels = figure.subplots(1, 2)
        for axes, figure_name, title in zip(
            panels, ("val_accuracy", "loss"), ("validation accuracy", "training loss"), strict=True
        ):
            _curves(axes, comparison, figure_name)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].legend(frameon=False, fontsize=9)
        return _svg(figure, "Learning curves of both twins")


def _curves(axes: Axes, comparison: Comparison, name: str) -> None:
    # The loop is dashed and on top: where the twins are equal both stay visible.
    for twin, colour, style, width in (("fit", FIT, "-", 3.0), ("loop", LOOP, (0, (4, 4)), 1.6)):
        for index, history in enumerate(comparison.twins[twin].history):  # type: ignore[index]
            values = [float("nan") if value is None else value for value in history[name]]
            axes.plot(
                range(1, len(values) + 1),
                values,
                color=colour,
                linestyle=style,
                linewidth=width,
                marker="o" if len(values) == 1 else None,
                label=twin if index == 0 else None,
            )


def divergence(comparison: Comparison) -> str:
    """Largest difference of any weight after each of the first steps, log scale; empty when there is none."""
    curve = [float("nan") if value is None else value for value in comparison.parity.lockstep.curve]
    if not any(value > 0 for value in curve):
        return ""
    with _figure(7.0, 2.6) as figure:
        axes = figure.subplots()
        axes.plot(range(1, len(curve) + 1), curve, color=LOOP, marker="o", markersize=4)
        axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel("largest weight difference")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure, "Largest weight difference after each step")


def tuning(comparison: Comparison) -> str:
    """Every trial of both searches: learning rate against validation loss."""
    with _figure(7.0, 2.8) as figure:
        axes = figure.subplots()
        for twin, colour, marker, size in (("fit", FIT, "o", 10), ("loop", LOOP, "x", 7)):
            trials = comparison.twins[twin].trials  # type: ignore[index]
            axes.plot(
                [trial["learning_rate"] for trial in trials],
                [float("nan") if trial["val_loss"] is None else trial["val_loss"] for trial in trials],
                marker,
                color=colour,
                markersize=size,
                markeredgewidth=2,
                fillstyle="none",
                label=twin,
            )
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("best validation loss")
        axes.legend(frameon=False, fontsize=9)
        return _svg(figure, "Tuning trials of both twins")


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "twintrain",
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    }
    with matplotlib.rc_context(style):
        yield Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', rf'\1 role="img" aria-label="{title}"', svg, count=1)
    return re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", svg, count=1).replace(
        _INK, "currentColor"
    )
