"""The trend as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from twintrain.report.drawing import BAD, FIT, INK, LOOP, Tips, as_it_stands, as_svg, figure
from twintrain.trend.monitor import Look, Trend


def render_trend(trends: Sequence[Trend]) -> str:
    """The page for every recipe name there are records of; every string from data is escaped."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("twintrain", "trend"), PackageLoader("twintrain", "report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    drawn = [
        {
            "gap": gaps(t.looks),
            "scores": scores(t.looks),
            "slices": slices(t.looks),
            "drift": drift(t.looks),
        }
        for t in trends
    ]
    return environment.get_template("page.html").render(
        trends=list(zip(trends, drawn, strict=True))
    )


def gaps(looks: Sequence[Look]) -> str:
    """Gap per span with its interval, the margin, and the mean with its confidence sequence."""
    tips, spans = Tips(), _spans(looks)
    with figure(7.0, 3.2) as drawn:
        axes = drawn.subplots()
        margin, metric = looks[-1].record.margin, looks[-1].record.metric
        axes.axhspan(
            -margin,
            margin,
            color=INK,
            alpha=0.10,
            linewidth=0,
            label=f"margin {metric.margin_text(margin)}",
        )
        axes.axhline(0, color=INK, linewidth=0.8)
        low, high = zip(*(look.mean_gap_ci95 for look in looks), strict=True)
        axes.fill_between(
            spans,
            low,
            high,
            color=LOOP,
            alpha=0.18,
            linewidth=0,
            label="mean so far, valid at all times",
        )
        axes.plot(spans, [look.mean_gap for look in looks], color=LOOP, linewidth=1.2)
        for span, look in zip(spans, looks, strict=True):
            whole = look.record.overall
            flagged = any(alert.kind in ("gap", "slice gap") for alert in look.alerts)
            colour = BAD if flagged else FIT
            axes.plot([span, span], whole.ci95, color=colour, linewidth=2, solid_capstyle="butt")
            (mark,) = axes.plot(
                span, whole.gap, "D" if flagged else "o", color=colour, markersize=6
            )
            tips.put(mark, f"span {look.record.span}: {metric.difference_text(whole.gap)}")
        _label(axes, f"gap, {metric.difference_title}")
        axes.legend(frameon=False, fontsize=9, loc="best")
        return as_svg(drawn, "Gap per span with 95 % intervals", tips)


def scores(looks: Sequence[Look]) -> str:
    """The metric of both twins over spans; the loop is dashed, so that equal twins stay visible."""
    metric = looks[-1].record.metric
    with figure(7.0, 2.6) as drawn:
        axes = drawn.subplots()
        for twin, colour, style, width in (
            ("fit", FIT, "-", 3.0),
            ("loop", LOOP, (0, (4, 4)), 1.6),
        ):
            values = [
                metric.scale * getattr(look.record.overall, f"{twin}_score") for look in looks
            ]
            axes.plot(
                _spans(looks),
                values,
                color=colour,
                linestyle=style,
                linewidth=width,
                marker="o",
                label=twin,
            )
        _label(axes, metric.title)
        axes.legend(frameon=False, fontsize=9)
        return as_svg(drawn, f"{metric.name.capitalize()} of both twins per span")


def slices(looks: Sequence[Look]) -> str:
    """Gap per slice and span as colours, alerts marked."""
    names = [part.name for part in looks[-1].record.slices[1:]]
    if not names:
        return ""
    table = _gap_table(looks, names)
    widest = float(np.nanmax(np.abs(table))) or 1.0
    with figure(7.0, 1.1 + 0.26 * len(names)) as drawn:
        axes = drawn.subplots()
        image = axes.imshow(
            table, cmap="PuOr", vmin=-widest, vmax=widest, aspect="auto", interpolation="nearest"
        )
        for column, row in _alarming_cells(looks, names):
            axes.plot(column, row, "x", color=INK, markersize=7, markeredgewidth=2)
        axes.set_yticks(range(len(names)), [as_it_stands(name) for name in names])
        axes.set_xticks(range(len(looks)), [str(look.record.span) for look in looks])
        axes.set_xlabel("span")
        drawn.colorbar(image, ax=axes, label=f"gap, {looks[-1].record.metric.difference_title}")
        return as_svg(drawn, "Gap per slice and span; crosses mark alerts")


def _gap_table(looks: Sequence[Look], names: list[str]) -> npt.NDArray[np.float64]:
    """Gaps in points, [slices, spans]; NaN where a span has no such slice."""
    table = np.full((len(names), len(looks)), np.nan)
    for column, look in enumerate(looks):
        for part in look.record.slices[1:]:
            if part.name in names:
                table[names.index(part.name), column] = part.gap
    return table


def _alarming_cells(looks: Sequence[Look], names: list[str]) -> list[tuple[int, int]]:
    """(span's column, slice's row) of every alert about a slice."""
    return [
        (column, names.index(alert.where))
        for column, look in enumerate(looks)
        for alert in look.alerts
        if alert.where in names
    ]


def drift(looks: Sequence[Look]) -> str:
    """Largest change of a label's share per span, and the threshold."""
    known = [look for look in looks if look.drift_points is not None]
    if not known:
        return ""
    with figure(7.0, 2.2) as drawn:
        axes = drawn.subplots()
        colours = [
            BAD if any(alert.kind == "drift" for alert in look.alerts) else FIT for look in known
        ]
        axes.bar(
            _spans(known), [look.drift_points or 0.0 for look in known], color=colours, width=0.6
        )
        allowed = looks[-1].record.drift_threshold
        if allowed is not None:
            axes.axhline(100 * allowed, color=INK, linewidth=1, linestyle="--")
        _label(axes, "largest change of\na label's share, points")
        return as_svg(drawn, "Drift of the labels per span; the dashed line is the threshold")


def _spans(looks: Sequence[Look]) -> list[int]:
    return [look.record.span for look in looks]


def _label(axes: Axes, text: str) -> None:
    axes.set_xlabel("span")
    axes.set_ylabel(text)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
