"""`twintrain explain` and `twintrain power`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipelines.cli.exit_codes import ExitCode
from pipelines.cli.first_look import (
    look_at_images,
    look_at_root,
    look_for_functions,
)
from pipelines.cli.interruption import tell_interrupted
from pipelines.cli.options import (
    STANDARD,
    Choice,
    DataOption,
    ProblemOption,
    SchemaOption,
    chosen,
)
from pipelines.cli.quiet import quiet
from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from twintrain.attribution.experiment import Question
    from twintrain.attribution.result import Explanation
    from twintrain.data.source import DataSource

EXPLAIN_EPILOG = (
    "Examples:  twintrain explain --from standard --to bare --set training.epochs=10  |  "
    "twintrain explain --from augmented --to bare --budget 2h --json"
)
_UNITS = {"s": 1, "m": 60, "h": 3600}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("explain", epilog=EXPLAIN_EPILOG)(explain)
    app.command(
        "power",
        epilog="Example:  twintrain power --gap 0.15  |  twintrain power --gap 0.5 --disagreement "
        "3 --examples 20000",
    )(power)


BothSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Override one field of both. May be repeated."
    ),
]
SpanOption = Annotated[
    int | None, typer.Option(min=0, help="Which span-N to use.", show_default="the newest")
]
BudgetOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Take the best experiment that fits: 90s, 10m, 2h."),
]
IdleOption = Annotated[
    bool,
    typer.Option(
        "--include-idle",
        help="Vary also practices that were found to change nothing but rounding.",
    ),
]


def explain(
    start: Annotated[
        str, typer.Option("--from", metavar="RECIPE", help="Where the gap is counted from.")
    ] = STANDARD,
    end: Annotated[
        str, typer.Option("--to", metavar="RECIPE", help="Taken as its loop twin obeys it.")
    ] = "bare",
    overrides: BothSetOption = None,
    data: DataOption = None,
    problem: ProblemOption = None,
    schema: SchemaOption = None,
    span: SpanOption = None,
    budget: BudgetOption = None,
    root: Annotated[
        Path, typer.Option(help="Finished trainings are kept here, and taken from here.")
    ] = Path("runs/explain"),
    include_idle: IdleOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation as JSON.")] = False,
) -> None:
    """Find out which practice is worth how many points between two recipes, by a designed
    experiment.
    """
    seconds = None if budget is None else parse_duration(budget)
    first, second = (
        chosen(data, source, overrides, False, schema, problem) for source in (start, end)
    )
    for choice in (first, second):
        look_for_functions(choice.recipe, sys.path)
    with _source(first, span, root.resolve()) as source:
        from twintrain.attribution.experiment import Question

        question = Question(
            start=first.recipe,
            end=second.recipe,
            data=source,
            cache=root.resolve() / "trainings",
            budget_seconds=seconds,
            include_idle=include_idle,
        )
        found = _found(question)
    from twintrain.attribution.show import show

    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        show(Console(highlight=False), found)


@contextmanager
def _source(choice: Choice, span: int | None, root: Path) -> Iterator[DataSource]:
    """The examples: images in files that were looked at, or tables that are prepared, and stay as
    long as the block takes.
    """
    if choice.recipe.problem.module is None:
        from twintrain.data.spans import choose_span, span_folder

        folder = span_folder(choice.data, choose_span(choice.data, span)[0])
        look_at_images(folder)
        look_at_root(root)
        from twintrain.data.idx_source import IdxData

        yield IdxData(folder, choice.recipe.data.limit)
        return
    from pipelines.cli.prepared import look_at_problem, prepare
    from pipelines.local.launch import own_root

    console = Console(stderr=True, highlight=False)
    look_at_problem(choice, console)
    look_at_root(root)
    with own_root(root) as lock:
        try:
            prepared = prepare(choice, span, root, lock, console)
        except KeyboardInterrupt:
            tell_interrupted("Finished steps are kept; the same command goes on from there.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        with quiet():  # TensorFlow's chatter
            data = prepared.data(choice.recipe)
        yield data


def _found(question: Question) -> Explanation:
    """The answer, with its progress shown."""
    from twintrain.attribution.experiment import explain as find

    try:
        with _Listener(Console(stderr=True, highlight=False)) as listener:
            return find(question, listener)
    except KeyboardInterrupt:
        tell_interrupted("Finished trainings are kept; the same command goes on from there.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def parse_duration(text: str) -> float:
    """Seconds of '90s', '10m', '1.5h'.

    Raises:
        TwintrainError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip().lower())
    if match is None or not float(match[1]):
        raise TwintrainError(f"--budget {text!r} is no length of time.", "Write 90s, 10m or 1.5h.")
    return float(match[1]) * _UNITS[match[2]]


class _Listener:
    """Shows the estimate, then a bar; without a terminal a line per training."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(
            *columns, console=console, disable=not console.is_terminal, transient=True
        )
        self._task = self._bar.add_task("", total=None)
        self._name, self._said = "", ""

    def __enter__(self) -> _Listener:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def estimate(self, estimate: object) -> None:
        from twintrain.attribution.cost_estimate import CostEstimate
        from twintrain.attribution.show import show_estimate

        assert isinstance(estimate, CostEstimate)
        show_estimate(self._console, estimate)

    def training(self, done: int, total: int, text: str) -> None:
        if not text.startswith(("epoch", "starting")) and text:
            self._name = text
            if not self._console.is_terminal and text != self._said:
                self._said = text
                typer.echo(f"{f'{done + 1}/{total} ' if total else ''}{text}", err=True)
        detail = f" ({text})" if text.startswith("epoch") else ""
        self._bar.update(
            self._task, completed=done, total=total or None, description=f"{self._name}{detail}"
        )


@dataclass(frozen=True)
class _Plan:
    gap_points: float
    disagreement_percent: float
    seed_sd_points: float
    shared: float
    power: float
    examples_for_one_seed: int
    seeds: dict[int, int | None]


def power(
    gap: Annotated[float, typer.Option(help="The gap to be found, percentage points.")],
    disagreement: Annotated[
        float,
        typer.Option(help="Test examples on which exactly one of the twins is right, percent."),
    ] = 1.0,
    seed_sd: Annotated[
        float, typer.Option("--seed-sd", help="Standard deviation of the gap over seeds, points.")
    ] = 0.1,
    shared: Annotated[
        float,
        typer.Option(help="Share of the examples' variance that all seeds have in common, 0 to 1."),
    ] = 0.26,
    chance: Annotated[float, typer.Option("--power", help="Probability of finding it.")] = 0.8,
    examples: Annotated[
        list[int] | None,
        typer.Option("--examples", min=1, help="Size of the test split. May be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Plan how many seeds and test examples it takes to see a gap.

    The defaults of --disagreement, --seed-sd and --shared are what the textbook pair on MNIST
    measured over ten seeds.
    """
    from twintrain.statistics.power import Assumptions, examples_needed, seeds_needed

    assumed = Assumptions(gap, disagreement, seed_sd, shared, chance)
    sizes = sorted(set(examples or [1_000, 5_000, 10_000, 50_000, 100_000]))
    plan = _Plan(
        gap,
        disagreement,
        seed_sd,
        shared,
        chance,
        examples_needed(assumed),
        {n: seeds_needed(assumed, n) for n in sizes},
    )
    if as_json:
        typer.echo(json.dumps(asdict(plan)))
        return
    console = Console(highlight=False)
    console.print(
        f"To see a gap of {gap:g} points with probability {chance:.0%} (5 % level, two-sided):"
    )
    table = Table("test examples", "seeds of each twin", box=None, padding=(0, 3, 0, 0))
    for size, seeds in plan.seeds.items():
        table.add_row(
            f"{size:,}", "no number of seeds is enough" if seeds is None else f"{seeds:,}"
        )
    console.print(table)
    console.print(
        f"One pair of models alone needs {plan.examples_for_one_seed:,} test examples, and then "
        "says nothing of other seeds.",
        soft_wrap=True,
    )
