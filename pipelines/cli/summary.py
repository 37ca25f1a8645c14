"""What the terminal shows when a run has ended."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from pipelines.cli.exit_codes import ExitCode
from pipelines.config import RunConfig
from pipelines.local.launch import Outcome
from twintrain.comparison.comparison import Comparison

_COLOURS = {"identical": "green", "equivalent": "green", "fit_better": "red", "loop_better": "red"}


def print_outcome(console: Console, config: RunConfig, outcome: Outcome) -> int:
    """Print the verdict, or what went wrong; gives the exit code of the command."""
    if outcome.status:
        return _print_failure(console, config, outcome)
    path = config.report / "comparison.json"
    comparison = Comparison.model_validate_json(path.read_text(encoding="utf-8"))
    print_comparison(console, comparison, config.report, outcome.log)
    return ExitCode.DONE


def print_comparison(
    console: Console, comparison: Comparison, report: Path, log: Path | None = None
) -> None:
    """Print the slices, the verdict, and where everything is."""
    console.print(slice_table(comparison))
    console.print(
        Text(comparison.sentence, style=f"bold {_COLOURS.get(comparison.verdict, 'yellow')}")
    )
    for warning in comparison.warnings:
        console.print(Text(warning, style="yellow"))
    if comparison.attribution is not None:
        console.print(Text(comparison.attribution.sentence))
    if comparison.push is not None and not comparison.push.pushed:
        console.print(Text(f"Not pushed: {'; '.join(comparison.push.reasons)}.", style="yellow"))
    console.print()
    places = {
        "report": report / "report.html",
        "numbers": report / "comparison.json",
        "summary": report / "summary.md",
    }
    for label, target in places.items() if log is None else {**places, "log": log}.items():
        console.print(f"  {label:<8}{target}", soft_wrap=True, markup=False)


def slice_table(comparison: Comparison) -> Table:
    """The slices with both scores and their difference; seeds in columns of their own for the
    whole.
    """
    table = Table(box=None, header_style="dim", padding=(0, 1), title_justify="left")
    metric = comparison.metric
    fit, loop = (f"{twin} {metric.score_unit}".rstrip() for twin in ("fit", "loop"))
    # In a narrow terminal only the slices' names give way.
    widths = {
        "slice": 7,
        "n": 6,
        fit: 6,
        loop: 6,
        "difference": 10,
        "95 % interval": 16,
        "verdict": 12,
    }
    for heading, width in widths.items():
        justify: JustifyMethod = "left" if heading in ("slice", "verdict") else "right"
        table.add_column(
            heading, justify=justify, no_wrap=True, overflow="ellipsis", min_width=width
        )
    for part in comparison.slices:
        low, high = part.ci95
        table.add_row(
            part.name,
            f"{part.n:,}",
            metric.score(part.fit_score),
            metric.score(part.loop_score),
            metric.difference(part.difference),
            f"{metric.difference(low)} … {metric.difference(high)}",
            Text(part.verdict.replace("_", " "), _COLOURS.get(part.verdict, "yellow")),
            style="bold" if part.name == "overall" else "",
        )
        if part.name == "overall":
            for seed in part.seeds:
                table.add_row(
                    f"  seed {seed.seed}",
                    "",
                    metric.score(seed.fit_score),
                    metric.score(seed.loop_score),
                    metric.difference(seed.difference),
                    style="dim",
                )
    return table


def _print_failure(console: Console, config: RunConfig, outcome: Outcome) -> int:
    known = outcome.status == ExitCode.MEND
    console.print()
    console.print("[bold red]Error:[/]", end=" ")
    if known:
        console.print(outcome.problem, markup=False, soft_wrap=True)
        console.print(outcome.remedy, markup=False, style="cyan", soft_wrap=True)
    else:
        what = (
            outcome.problem.splitlines()[0]
            if outcome.problem
            else f"the run ended with status {outcome.status}"
        )
        console.print(f"{what[:300]}", markup=False)
        console.print("This was not foreseen; the log below has the traceback.", style="cyan")
    if (config.report / "report.html").exists():
        console.print(
            f"  the earlier report at {config.report} is untouched",
            style="dim",
            soft_wrap=True,
            markup=False,
        )
    console.print(f"  log     {outcome.log}", soft_wrap=True, markup=False)
    return ExitCode.MEND if known else ExitCode.FAULT
