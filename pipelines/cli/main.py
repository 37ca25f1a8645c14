"""The `twintrain` command.

Nothing heavy is imported before a command needs it: `--help` answers at once, and the library's
commands work where TFX is not installed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipelines.cli import clean, compare, diagnose, explain, new, schema, trend
from pipelines.cli import data as data_commands
from pipelines.cli import kubeflow as kubeflow_commands
from pipelines.cli.exit_codes import ExitCode, exit_code_table
from pipelines.cli.interruption import tell_interrupted
from pipelines.cli.needs import need_pipeline
from pipelines.cli.options import (
    STANDARD,
    DataOption,
    ProblemOption,
    QuickOption,
    RecipeOfDataOption,
    RecipeOption,
    SchemaOption,
    SetOption,
    chosen,
)
from pipelines.cli.own_loop import LoopOption, override_for
from twintrain.errors import TwintrainError, refused_by_system
from twintrain.version import __version__

if TYPE_CHECKING:
    from pipelines.config import RunConfig

app = typer.Typer(
    name="twintrain",
    help="Train one model twice, with Keras fit and with a GradientTape loop, and settle whether, "
    "how much and why the two differ.",
    epilog=exit_code_table(),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(data_commands.app, name="data")
app.add_typer(kubeflow_commands.app, name="kubeflow")
compare.register(app)
diagnose.register(app)
explain.register(app)
trend.register(app)
new.register(app)
clean.register(app)
app.add_typer(schema.app, name="schema")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"twintrain {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Nothing to do before a command."""


@app.command(
    epilog="Examples:  twintrain run --quick  |  "
    "twintrain run --recipe bare --set training.epochs=10  |  "
    "twintrain run --data data/photos --root runs/photos"
)
def run(
    recipe: RecipeOfDataOption = None,
    overrides: SetOption = None,
    data: DataOption = None,
    schema: SchemaOption = None,
    problem: ProblemOption = None,
    loop: LoopOption = None,
    root: Annotated[Path, typer.Option(help="Everything the run writes goes here.")] = Path(
        "runs/default"
    ),
    span: Annotated[
        str | None,
        typer.Option(
            metavar="N|latest",
            help="Which span-N to use. With `latest` nothing is done where the newest complete one "
            "has been compared with this recipe on this root.",
            show_default="the newest complete one",
        ),
    ] = None,
    quick: QuickOption = False,
    cache: Annotated[
        bool, typer.Option(help="Take results of earlier runs whose inputs are the same.")
    ] = True,
    workers: Annotated[int, typer.Option(min=0, help="Processes for Beam stages; 0 chooses.")] = 0,
    seeds_at_a_time: Annotated[
        int,
        typer.Option(
            min=1,
            help="Seeds of a twin trained side by side, each on a GPU of its own if there are any.",
        ),
    ] = 1,
) -> None:
    """Run the whole comparison on this machine, from files to verdict."""
    need_pipeline()
    from pipelines.cli.first_look import look
    from pipelines.cli.schema import see_schema
    from pipelines.config import RunConfig
    from pipelines.local.launch import module_places

    own = [*override_for(loop), *(overrides or [])]
    choice = chosen(data, recipe, own, quick, schema, problem)
    look(choice.recipe, choice.data, choice.schema_file, [*module_places(), *sys.path])
    if choice.recipe.problem.module is not None:
        see_schema(choice, Console(highlight=False))
    config = RunConfig(
        recipe=choice.recipe,
        data=choice.data,
        schema_file=choice.schema_file,
        root=root.resolve(),
        cache=cache,
        workers=workers,
        seeds_at_a_time=seeds_at_a_time,
    )
    raise typer.Exit(_run(config, span, choice.recipe_source))


def _run(config: RunConfig, span: str | None, recipe_source: str) -> int:
    """Run, show it, and say how it ended; the command's exit code."""
    from pipelines.cli.progress_view import view_for
    from pipelines.cli.span_choice import span_to_run
    from pipelines.local.launch import own_root
    from pipelines.local.launch import run as launch

    console = Console(highlight=False)
    with own_root(config.root) as lock:
        config = config.model_copy(update={"span": span_to_run(config, span)})
        _look_at_span(config)
        console.print(_title(config, recipe_source), soft_wrap=True)
        try:
            outcome = launch(
                config,
                view_for(console),
                lock,
                lambda log: console.print(f"log {log}", style="dim", markup=False, soft_wrap=True),
            )
        except KeyboardInterrupt:
            tell_interrupted(
                "Finished steps and epochs are kept; the same command goes on from there."
            )
            return ExitCode.INTERRUPTED
        from pipelines.cli.summary import print_outcome  # not before: SciPy comes with it

        return print_outcome(console, config, outcome)


def _look_at_span(config: RunConfig) -> None:
    from pipelines.cli.first_look import look_at_images
    from twintrain.data.spans import span_folder

    if config.span is not None and config.recipe.problem.module is None:
        look_at_images(span_folder(config.data, config.span), config.recipe.data.image_shape)


def _title(config: RunConfig, recipe_source: str) -> str:
    """What is run, in a line; the file of the recipe where it is none of ours."""
    recipe = config.recipe
    source = "" if recipe_source == recipe.name else f" ({recipe_source})"
    seeds, span = list(recipe.seeds), "" if config.span is None else f", span {config.span}"
    told = f"recipe {recipe.name}{source}, seeds {seeds}, data {config.data}{span}"
    return f"[bold]Twintrain[/] {escape(told)}"


@app.command("recipe")
def show_recipe(recipe: RecipeOption = STANDARD, overrides: SetOption = None) -> None:
    """Print a recipe in full, every field with its value, and its hash."""
    from twintrain.recipe.files import load_recipe, to_yaml

    loaded = load_recipe(recipe, overrides or [])
    typer.echo(f"# hash {loaded.hash}\n{to_yaml(loaded)}", nl=False)


def main() -> None:
    """Do what the command line asks; a foreseen problem becomes two lines and an exit code."""
    try:
        app()
    except (TwintrainError, OSError) as raised:
        error = raised if isinstance(raised, TwintrainError) else refused_by_system(raised)
        if error is None:
            raise
        console = Console(stderr=True, highlight=False)
        console.print("[bold red]Error:[/]", end=" ")
        console.print(error.problem, markup=False, soft_wrap=True)
        if error.remedy:
            console.print(error.remedy, markup=False, style="cyan", soft_wrap=True)
        sys.exit(ExitCode.MEND)
