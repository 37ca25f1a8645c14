"""The report's charts."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from twintrain.attribution.result import Explanation
from twintrain.comparison.comparison import Comparison
from twintrain.report.drawing import BAD, FIT, INK, LOOP, Tips, as_it_stands, as_svg, figure

MOST_LABELS = 40  # beyond, a confusion matrix is no longer readable
_MOST_WRITTEN = 12  # labels up to which a cell has room for its number
_LONGEST_NAME = 12  # letters of a label's name that are shown


def forest(comparison: Comparison) -> str:
    """Difference per slice with its 95 % interval, and the margin."""
    slices, tips = comparison.slices[::-1], Tips()
    with figure(7.0, 0.9 + 0.3 * len(slices)) as drawn:
        axes = drawn.subplots()
        margin, metric = comparison.margin, comparison.metric
        axes.axvspan(
            -margin,
            margin,
            color=INK,
            alpha=0.10,
            linewidth=0,
            label=f"margin {metric.margin_text(margin)}",
        )
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, part in enumerate(slices):
            low, high = part.ci95
            colour = {"fit_better": BAD, "loop_better": LOOP}.get(part.verdict, FIT)
            axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            size = 7 if part.name == "overall" else 5
            (mark,) = axes.plot(part.difference, row, "o", color=colour, markersize=size)
            tips.put(
                mark,
                f"{part.name}: {metric.difference_text(part.difference)} "
                f"({metric.difference(low)} to {metric.difference(high)})",
            )
        axes.set_yticks(
            range(len(slices)), [as_it_stands(f"{part.name}  (n={part.n:,})") for part in slices]
        )
        widest = max([margin, *(abs(bound) for part in slices for bound in part.ci95)])
        axes.set_xlim(-1.08 * widest, 1.08 * widest)
        sides = ("fit better", "loop better")
        left, right = sides if metric.higher_is_better else sides[::-1]
        drawn.supxlabel(f"← {left} · {metric.difference_title} · {right} →", fontsize=10)
        axes.legend(loc="lower right", frameon=False, fontsize=9)
        return as_svg(drawn, f"Difference in {metric.name} per slice with 95 % intervals", tips)


def learning_curves(comparison: Comparison) -> str:
    """The metric on validation examples and the training loss of both twins over epochs, one line
    per seed.
    """
    metric = comparison.metric
    # Of a metric that is logged as another figure (the deviance, as its loss), that one is shown.
    shown = f"validation {metric.name if metric.logged == metric.name else metric.logged}"
    with figure(7.0, 3.0) as drawn:
        panels = drawn.subplots(1, 2)
        names, titles = (f"val_{metric.logged}", "loss"), (shown, "training loss")
        for axes, figure_name, title in zip(panels, names, titles, strict=True):
            _curves(axes, comparison, figure_name)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].legend(frameon=False, fontsize=9)
        return as_svg(drawn, "Learning curves of both twins")


def _curves(axes: Axes, comparison: Comparison, name: str) -> None:
    # The loop is dashed and on top: where the twins are equal both stay visible.
    for twin, colour, style, width in (("fit", FIT, "-", 3.0), ("loop", LOOP, (0, (4, 4)), 1.6)):
        for index, history in enumerate(comparison.twins[twin].history):  # type: ignore[index]
            # A loop of one's own may keep no figures, and is then evaluated at its end only.
            values = [float("nan") if value is None else value for value in history.get(name, [])]
            epochs = comparison.twins[twin].epochs[index]  # type: ignore[index]
            axes.plot(
                range(epochs - len(values) + 1, epochs + 1),
                values,
                color=colour,
                linestyle=style,
                linewidth=width,
                marker="o" if len(values) == 1 else None,
                label=twin if index == 0 else None,
            )


def divergence(comparison: Comparison) -> str:
    """Largest difference of any weight after each of the first steps, log scale; empty when there
    is none.
    """
    steps = comparison.parity.lockstep
    return weight_curve(steps.curve) if steps else ""


def weight_curve(differences: list[float | None], tolerance: float = 0.0) -> str:
    """Largest difference of any weight after each step, log scale, and what counts as equal; empty
    when there is no difference.
    """
    curve = [float("nan") if value is None else value for value in differences]
    if not any(value > 0 for value in curve):
        return ""
    with figure(7.0, 2.6) as drawn:
        axes = drawn.subplots()
        if tolerance:
            axes.axhline(tolerance, color=INK, linewidth=0.8, linestyle=":")
        axes.plot(range(1, len(curve) + 1), curve, color=LOOP, marker="o", markersize=4)
        axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel("largest weight difference")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return as_svg(drawn, "Largest weight difference after each step")


def tuning(comparison: Comparison) -> str:
    """Every trial of both searches: learning rate, or where that is not searched the trial's
    number, against validation loss; empty when there is none.
    """
    if not any(twin.trials for twin in comparison.twins.values()):
        return ""
    by_rate = all("learning_rate" in t for twin in comparison.twins.values() for t in twin.trials)
    tips = Tips()
    with figure(7.0, 2.8) as drawn:
        axes = drawn.subplots()
        for twin, colour, marker, size in (("fit", FIT, "o", 10), ("loop", LOOP, "x", 7)):
            for number, trial in enumerate(comparison.twins[twin].trials):  # type: ignore[index]
                loss = float("nan") if trial["val_loss"] is None else trial["val_loss"]
                (mark,) = axes.plot(
                    trial["learning_rate"] if by_rate else number,
                    loss,
                    marker,
                    color=colour,
                    markersize=size,
                    markeredgewidth=2,
                    fillstyle="none",
                    label="_" if number else twin,
                )
                tips.put(mark, f"{twin}, trial {number}: {_figures(trial)}")
        if by_rate:
            axes.set_xscale("log")
        axes.set_xlabel("learning rate" if by_rate else "trial")
        axes.set_ylabel("best validation loss")
        axes.legend(frameon=False, fontsize=9)
        return as_svg(drawn, "Tuning trials of both twins", tips)


def _figures(trial: dict[str, Any]) -> str:
    """What a trial searched with and reached; beside that a trial holds its number and status."""
    shown = {key: value for key, value in trial.items() if key not in ("trial", "status")}
    return ", ".join(
        f"{key.replace('_', ' ')} {value:.4g}"
        for key, value in shown.items()
        if isinstance(value, int | float)
    )


def parity(comparison: Comparison) -> str:
    """The metric of fit against that of the loop, every slice of every seed; equal twins lie on the
    diagonal.
    """
    tips, metric = Tips(), comparison.metric
    scale = metric.scale
    with figure(4.6, 4.2) as drawn:
        axes = drawn.subplots()
        values = [scale * seed.fit_score for part in comparison.slices for seed in part.seeds]
        values += [scale * seed.loop_score for part in comparison.slices for seed in part.seeds]
        ends = min(values), max(values)
        room = 0.05 * (ends[1] - ends[0]) or 0.5
        ends = ends[0] - room, ends[1] + room
        axes.plot(ends, ends, color=INK, linewidth=0.8)
        for part in comparison.slices:
            for seed in part.seeds:
                whole = part.name == "overall"
                x, y = scale * seed.fit_score, scale * seed.loop_score
                style = {
                    "color": LOOP if whole else FIT,
                    "markersize": 7 if whole else 4,
                    "zorder": 3 if whole else 2,
                }
                (mark,) = axes.plot(x, y, "o", markeredgewidth=0, **style)  # type: ignore[arg-type]
                fit, loop = metric.score_text(seed.fit_score), metric.score_text(seed.loop_score)
                tips.put(mark, f"{part.name}, seed {seed.seed}: fit {fit}, loop {loop}")
        axes.set_xlim(ends)
        axes.set_ylim(ends)
        axes.set_aspect("equal")
        axes.set_xlabel(as_it_stands(f"fit, {metric.title}"))
        axes.set_ylabel(as_it_stands(f"loop, {metric.title}"))
        title = f"{metric.name.capitalize()} of the loop against that of fit, per slice and seed"
        return as_svg(drawn, title, tips)


def waterfall(explanation: Explanation) -> str:
    """From the metric of fit to that of the loop, one practice after the other."""
    shares = sorted(
        (s for s in explanation.shares if not s.idle), key=lambda share: -abs(share.worth)
    )
    rows = ["fit", *(share.practice for share in shares), "loop"]
    tips, level, metric = Tips(), 0.0, explanation.metric
    with figure(7.0, 0.9 + 0.36 * len(rows)) as drawn:
        axes = drawn.subplots()
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, share in enumerate(shares, start=1):
            colour = FIT if metric.better(share.worth) else BAD
            (bar,) = axes.barh(
                row,
                share.worth,
                left=level,
                height=0.56,
                color=colour,
                alpha=1 if share.named else 0.45,
            )
            low, high = (level + bound for bound in share.ci95)
            axes.plot([low, high], [row, row], color=INK, linewidth=1.2)
            tips.put(
                bar,
                f"{share.practice}: {metric.difference_text(share.worth)} "
                f"({metric.difference(share.ci95[0])} to {metric.difference(share.ci95[1])})",
            )
            level += share.worth
            axes.plot([level, level], [row, row + 1], color=INK, linewidth=0.6, linestyle=":")
        axes.barh(len(rows) - 1, explanation.gap, height=0.56, color=INK, alpha=0.35)
        axes.set_yticks(range(len(rows)), [as_it_stands(row) for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel(as_it_stands(f"against fit, {metric.unit or metric.name}"))
        return as_svg(drawn, "Share of every practice in the gap, with 95 % intervals", tips)


def confusion(comparison: Comparison) -> str:
    """Mistakes of both twins, label against choice, and their difference; without the diagonal.
    Empty where no classes are chosen, or too many for a matrix to be readable.
    """
    if comparison.confusion is None or len(comparison.confusion.fit) > MOST_LABELS:
        return ""
    matrices = (comparison.confusion.fit, comparison.confusion.loop)
    tips = Tips()
    names = comparison.label_names
    difference = [
        [b - a for a, b in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)
    ]
    panels = (
        (matrices[0], "fit", FIT),
        (matrices[1], "loop", LOOP),
        (difference, "loop − fit", None),
    )
    with figure(9.6, 3.7) as drawn:
        for axes, (matrix, title, colour) in zip(drawn.subplots(1, 3), panels, strict=True):
            _mistakes(axes, matrix, names, colour, tips)
            _name_labels(axes, names)
            axes.set_title(title, fontsize=10)
            axes.set_xlabel("chosen")
        return as_svg(
            drawn, "Mistakes of both twins and their difference, label against choice", tips
        )


def _mistakes(
    axes: Axes, matrix: list[list[int]], names: list[str], colour: str | None, tips: Tips
) -> None:
    """One coloured cell per kind of mistake; without a `colour`, the matrix is a difference and its
    sign decides.
    """
    cells = [
        (row, column, value)
        for row, line in enumerate(matrix)
        for column, value in enumerate(line)
        if row != column and value
    ]
    largest = max((abs(value) for _, _, value in cells), default=1)
    for row, column, value in cells:
        shown = str(value) if colour else f"{value:+d}"
        (mark,) = axes.bar(
            column,
            1,
            bottom=row - 0.5,
            width=1,
            color=colour or (LOOP if value > 0 else FIT),
            alpha=0.1 + 0.5 * abs(value) / largest,
            linewidth=0,
        )
        tips.put(mark, f"{names[row]} taken for {names[column]}: {shown}")
        if len(names) <= _MOST_WRITTEN:
            axes.text(column, row, shown, ha="center", va="center", fontsize=6)


def _name_labels(axes: Axes, names: list[str]) -> None:
    """A square from the first label to the last, with their names along both sides."""
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_aspect("equal")
    shown = [
        as_it_stands(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…")
        for name in names
    ]
    upright = max(map(len, names)) > 2
    axes.set_xticks(range(len(names)), shown, fontsize=7, rotation=90 if upright else 0)
    axes.set_yticks(range(len(names)), shown, fontsize=7, rotation=0)
