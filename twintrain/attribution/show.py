"""An explanation on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from twintrain.attribution.cost_estimate import CostEstimate
from twintrain.attribution.result import Explanation, Interval, Share
from twintrain.problems.metric import Metric

_KINDS = {
    "full": "every combination",
    "pairs": "a fraction in which any two practices may interact",
    "mains": "a fraction that takes the practices to add up",
}
_WIDTH = 24


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3.5 h'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_estimate(console: Console, estimate: CostEstimate) -> None:
    """What it will cost, before it starts."""
    for name, why in estimate.idle.items():
        console.print(
            Text.assemble(("not varied  ", "dim"), (name, "bold"), f": {why}"), soft_wrap=True
        )
    varied = ", ".join(practice.name for practice in estimate.practices) or "nothing"
    console.print(Text.assemble(("varied      ", "dim"), (varied, "bold")), soft_wrap=True)
    todo = estimate.trainings - estimate.done
    text = (
        f"{estimate.trainings} trainings: {len(estimate.design.runs)} combinations "
        f"({_KINDS[estimate.design.kind]}) with "
        f"{len(estimate.seeds)} seed{'s' if len(estimate.seeds) > 1 else ''}; "
    )
    text += (
        f"{estimate.done} are there already, the other {todo} take"
        if estimate.done
        else "they take"
    )
    text = (
        f"{text} about {duration(estimate.seconds)}"
        if todo
        else f"{text.split(';')[0]}; all are there already"
    )
    console.print(Text.assemble(("the cost    ", "dim"), text), soft_wrap=True)
    if estimate.cut:
        console.print(Text.assemble(("the budget  ", "dim"), estimate.cut), soft_wrap=True)


def show(console: Console, found: Explanation) -> None:
    """The sentence, the shares as bars, and what stands behind them."""
    metric = found.metric
    console.print(Text(found.sentence, style="bold"), soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("practice", metric.unit or metric.name, "95 % interval", "p", ""):
        table.add_column(column, justify="left" if column in ("practice", "") else "right")
    largest = max([abs(found.gap), *(abs(share.worth) for share in found.shares), 1e-9])
    for share in sorted(found.shares, key=lambda share: -abs(share.worth)):
        table.add_row(
            share.practice,
            metric.difference(share.worth),
            "exactly 0" if share.idle else _span(metric, share.ci95),
            "" if share.idle else f"{share.p_value:.2g}",
            _bar(metric, share, largest),
        )
    interval = _span(metric, found.gap_ci95)
    table.add_row("the whole gap", metric.difference(found.gap), interval, "", "", style="bold")
    console.print(table)
    for pair in found.interactions:
        if pair.p_value < 0.05:
            one, other = pair.practices
            worth = metric.difference_text(pair.worth)
            console.print(f"{one} and {other} together: {worth} more than apart.", soft_wrap=True)
    if found.restored is not None:
        left = found.restored
        rest = f"{metric.difference_text(left.gap)} are left ({_span(metric, left.ci95)})"
        rest = "nothing is left of it" if left.ci95 == (0.0, 0.0) else rest
        console.print(
            f"With {', '.join(left.practices)} as in {found.start}, {rest}.", soft_wrap=True
        )
    if not found.framework:
        console.print(
            f"Framework: fit and the loop, both obeying {found.start}, are equal bit for bit.",
            soft_wrap=True,
        )
    for note in found.notes:
        console.print(f"Note: {note}.", style="yellow", soft_wrap=True)
    console.print(
        f"{found.trainings} trainings ({found.reused} from before), "
        f"{duration(found.training_seconds)} of training, "
        f"{duration(found.seconds)} this time.",
        style="dim",
        soft_wrap=True,
    )


def _span(metric: Metric, interval: Interval) -> str:
    return f"{metric.difference(interval[0])} to {metric.difference(interval[1])}"


def _bar(metric: Metric, share: Share, largest: float) -> Text:
    length = round(_WIDTH * abs(share.worth) / largest)
    colour = "green" if metric.better(share.worth) else "red"
    return Text("█" * length or "·", style=colour if share.named else "dim")
