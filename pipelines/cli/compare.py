"""`twintrain compare`: both twins trained and compared by the library, images without TFX."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipelines.cli.exit_codes import ExitCode
from pipelines.cli.interruption import tell_interrupted
from pipelines.cli.options import (
    DataOption,
    ProblemOption,
    QuickOption,
    RecipeOfDataOption,
    SchemaOption,
    SetOption,
    chosen,
)
from pipelines.cli.own_loop import LoopOption, override_for

if TYPE_CHECKING:
    from pipelines.cli.options import Choice
    from twintrain.comparison.comparison import Comparison
    from twintrain.data.source import DataSource

_SPOKEN = {
    "steps": "step both twins side by side",
    "tuning": "tune both twins",
    "fit": "train the fit twin",
    "loop": "train the loop twin",
}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples:  twintrain compare --quick  |  twintrain compare --recipe bare --set "
        "training.epochs=10  |  twintrain compare --quick --loop my_loop.py  |  twintrain compare "
        "--data data/photos --root runs/photos"
    )(compare)


def compare(
    recipe: RecipeOfDataOption = None,
    overrides: SetOption = None,
    data: DataOption = None,
    problem: ProblemOption = None,
    schema: SchemaOption = None,
    loop: LoopOption = None,
    root: Annotated[
        Path, typer.Option(help="The report goes here; finished trainings are kept here.")
    ] = Path("runs/compare"),
    span: Annotated[
        int | None, typer.Option(min=0, help="Which span-N to use.", show_default="the newest")
    ] = None,
    quick: QuickOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON instead of the table.")
    ] = False,
) -> None:
    """Train both twins and compare them: the trainings and the verdict of `run`.

    Images without TFX, and no schema is enforced on them; tables of a problem of your own are
    prepared as `run` does it. No model is exported, evaluated from raw examples or pushed, and no
    record is kept for the trend.
    """
    from pipelines.local.launch import own_root

    own = [*override_for(loop), *(overrides or [])]
    choice = chosen(data, recipe, own, quick, schema, problem)
    _look(choice, span)
    with own_root(root.resolve()) as lock:
        try:
            found = _compared(choice, span, root.resolve(), quick, lock)
        except KeyboardInterrupt:
            tell_interrupted(
                "Finished steps and epochs are kept; the same command goes on from there."
            )
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    from pipelines.cli.summary import print_comparison

    print_comparison(Console(highlight=False), found, root / "report")


def _look(choice: Choice, span: int | None) -> None:
    """See that recipe, functions and data fit."""
    if choice.recipe.problem.module is not None:
        from pipelines.cli.prepared import look_at_problem

        look_at_problem(choice, Console(stderr=True, highlight=False))
        return
    from pipelines.cli.first_look import look_at_images, look_for_functions

    look_at_images(_folder(choice, span), choice.recipe.data.image_shape)
    look_for_functions(choice.recipe, sys.path)


def _folder(choice: Choice, span: int | None) -> Path:
    """The directory of the span that is taken."""
    from twintrain.data.spans import choose_span, span_folder

    return span_folder(choice.data, choose_span(choice.data, span)[0])


def _compared(choice: Choice, span: int | None, root: Path, quick: bool, lock: int) -> Comparison:
    """Compare, with the progress shown, and write the report below `root`."""
    from pipelines.cli.quiet import quiet

    prepared = None
    if choice.recipe.problem.module is not None:
        from pipelines.cli.prepared import prepare

        prepared = prepare(choice, span, root, lock, Console(stderr=True, highlight=False))
    with _progress(choice) as shown, quiet():
        from twintrain.processes.isolated import expect_isolated

        expect_isolated(["twintrain.comparison.at_once"])  # they import while this process does

        from twintrain.comparison.compare import STEPS
        from twintrain.comparison.compare import compare as run
        from twintrain.data.idx_source import IdxData
        from twintrain.problems.find import find_problem
        from twintrain.report.pictures import pictures_of
        from twintrain.report.render import write_report

        recipe = choice.recipe
        source: DataSource
        if prepared is None:
            source, sliced = IdxData(_folder(choice, span), recipe.data.limit), None
        else:
            source, sliced = prepared.data(recipe), prepared.slice_values(recipe)
        train, test = (
            source.store(split, recipe.data.memory_limit_mb) for split in ("train", "eval")
        )
        problem = find_problem(recipe, source.spec)
        found = run(
            recipe,
            problem,
            train,
            test,
            folder=root / "trainings",
            steps=0 if quick and not recipe.twins.own else STEPS,
            slice_values=sliced,
            report=shown.take,
            at_once=True,
        )
        if prepared is not None and prepared.unreadable is not None:
            found = _with_unreadable(found, prepared.unreadable)
        shown_examples = {example.example_id for example in found.disagreements}
        write_report(found, root / "report", pictures_of(test, shown_examples))
    return found


def _with_unreadable(found: Comparison, told: dict[str, Any]) -> Comparison:
    """With what the pipeline left out of the data, which the library has not seen."""
    from twintrain.comparison.slices import unreadable_rows

    train = found.data["train"] | {"unreadable": told}
    notes = [unreadable_rows(told), *found.notes]
    return found.model_copy(update={"data": found.data | {"train": train}, "notes": notes})


class _Shown:
    """One bar per thing that is done; without a terminal a line whenever something is."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._console = console
        self._bars = Progress(
            *columns,
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks = {"": self._bars.add_task("read the data, start TensorFlow", total=1, text="")}

    def __enter__(self) -> _Shown:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._complete(self._tasks)
        self._bars.stop()

    def _complete(self, whats: Iterable[str]) -> None:
        for what in whats:
            task = self._tasks[what]
            self._bars.update(task, completed=self._bars.tasks[task].total)

    def take(self, what: str, done: int, total: int, text: str) -> None:
        """See `twintrain.comparison.compare.Report`."""
        from twintrain.recipe.recipe import TWINS

        if what not in self._tasks:
            # The twins may be trained at the same time.
            self._complete(self._tasks.keys() - TWINS)
            self._tasks[what] = self._bars.add_task(_SPOKEN[what], total=total, text="")
        self._bars.update(self._tasks[what], completed=done, total=total, text=text)
        if not self._console.is_terminal:
            self._console.print(f"{_SPOKEN[what]}: {done}/{total}, {text}", markup=False)


@contextmanager
def _progress(choice: Choice) -> Iterator[_Shown]:
    """Progress on the terminal's own standard error, whatever becomes of this process's."""
    with io.TextIOWrapper(os.fdopen(os.dup(2), "wb"), encoding="utf-8", line_buffering=True) as err:
        console = Console(file=err, force_terminal=sys.stderr.isatty(), highlight=False)
        console.print(
            f"[bold]Twintrain[/] recipe {choice.recipe.name}, seeds {list(choice.recipe.seeds)}, "
            f"data {choice.data}",
            soft_wrap=True,
        )
        with _Shown(console) as shown:
            yield shown
