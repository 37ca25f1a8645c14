"""`twintrain trend`: comparisons over spans, and alerts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.cli.exit_codes import ExitCode
from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from twintrain.trend.monitor import Trend


def register(app: typer.Typer) -> None:
    """Add the command to the `twintrain` application."""
    app.command(
        epilog="Exit codes: 0 nothing to be alarmed at in the newest span; 4 something; 2 the "
        "message tells what to mend.  "
        "Example:  twintrain trend runs/nightly/records --html trend.html --alert"
    )(trend)


def trend(
    records: Annotated[
        str,
        typer.Argument(
            help="Directory or URL of the records: a run's ROOT/records, s3://…, gs://…, minio://…"
        ),
    ] = "runs/default/records",
    recipe: Annotated[
        str | None, typer.Option(help="Only this recipe name.", show_default="all")
    ] = None,
    drop: Annotated[
        float,
        typer.Option(min=0.0, help="Points a slice's accuracy may fall before it is an alert."),
    ] = 2.0,
    html: Annotated[Path | None, typer.Option(help="Write the page here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    alert: Annotated[
        bool,
        typer.Option(
            "--alert", help="Post alerts to the webhook in the variable TWINTRAIN_WEBHOOK."
        ),
    ] = False,
) -> None:
    """Show how gap, accuracies and data moved over spans, and what to be alarmed at."""
    from twintrain.trend.webhook import message

    trends = _judged(records, recipe, drop)
    _show(trends, html, as_json)
    text = message(trends)
    if alert and text:
        _post(text)
    if text:
        raise typer.Exit(ExitCode.LOOK)


def _judged(records: str, recipe: str | None, drop: float) -> list[Trend]:
    from twintrain.trend.monitor import judge
    from twintrain.trend.record_store import RecordStore

    trends = [
        one for one in judge(RecordStore(records).all(), drop) if recipe in (None, one.recipe_name)
    ]
    if not trends:
        what = f" of a recipe called {recipe!r}" if recipe else ""
        raise TwintrainError(
            f"There is no record{what} in {records}.",
            "Each `twintrain run` leaves one in ROOT/records.",
        )
    return trends


def _show(trends: list[Trend], html: Path | None, as_json: bool) -> None:
    """As a page where one is asked for, and as JSON or a table."""
    from twintrain.processes.replacing import replace_text
    from twintrain.trend.page import render_trend

    if html:
        html.parent.mkdir(parents=True, exist_ok=True)
        replace_text(html, render_trend(trends))
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in trends], indent=1))
        return
    for one in trends:
        _print(Console(highlight=False), one)
    if html:
        typer.echo(f"page {html}")


def _post(text: str) -> None:
    from twintrain.trend.webhook import VARIABLE, post, webhook

    address = webhook()
    if address is None:
        raise TwintrainError(
            f"--alert needs the webhook's address in {VARIABLE}.",
            f"export {VARIABLE}=https://…",
        )
    post(address, text)


def _print(console: Console, trend: Trend) -> None:
    table = Table(
        title=f"recipe {escape(trend.recipe_name)}", title_justify="left", box=None, pad_edge=False
    )
    metric = trend.looks[-1].record.metric
    unit = metric.score_unit or metric.name
    for name in (
        "span",
        f"fit {unit}",
        f"loop {unit}",
        "gap",
        "95 % interval",
        "mean gap so far",
        "drift",
    ):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for look in trend.looks:
        whole, (low, high) = look.record.overall, look.mean_gap_ci95
        table.add_row(
            f"{look.record.span}{'*' if look.recipe_changed else ''}",
            metric.score(whole.fit_score),
            metric.score(whole.loop_score),
            metric.difference(whole.gap),
            " … ".join(metric.difference(bound) for bound in whole.ci95),
            f"{metric.difference(low)} … {metric.difference(high)}",
            "-" if look.drift_points is None else f"{look.drift_points:.1f}",
            look.record.verdict.replace("_", " "),
            style="bold red" if look.alerts else None,
        )
    console.print(table)
    if any(look.recipe_changed for look in trend.looks):
        console.print("* the recipe changed", style="dim")
    for look in trend.looks:
        for alert in look.alerts:
            console.print(
                f"[bold red]span {look.record.span}[/] {alert.kind}: {escape(alert.text)}",
                soft_wrap=True,
            )
