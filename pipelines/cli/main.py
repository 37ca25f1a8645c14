"""The `twintrain` command.

Nothing heavy is imported before a command needs it: `--help` answers at once, and the library's
    commands work where
TFX is not installed.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipelines.cli import data as data_commands
from pipelines.cli import diagnose, explain, trend
from pipelines.cli import kubeflow as kubeflow_commands
from twintrain.errors import TwintrainError
from twintrain.version import __version__

if TYPE_CHECKING:
    from pipelines.config import RunConfig

EXIT_CODES = """
Exit codes: 0 the command did what it was asked; 1 a fault of Twintrain's own (the log has the traceback);
2 something the message tells how to mend; 130 interrupted.
"""

app = typer.Typer(
    name="twintrain",
    help="Train one model twice, with Keras fit and with a GradientTape loop, and settle whether, "
    "how much and why the "
    "two differ.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(data_commands.app, name="data")
app.add_typer(kubeflow_commands.app, name="kubeflow")
diagnose.register(app)
explain.register(app)
trend.register(app)

RecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe",
        "-r",
        help="A built-in recipe (standard, textbook, bare, augmented) or a YAML file.",
    ),
]
# What --quick changes in a recipe: enough to see everything at work, in about two minutes on two
# cores.
QUICK = ["data.limit=6000", "tuning.examples=1000", "tuning.trials=2", "seeds=[0,1]"]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override one field. May be repeated."),
]


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
    epilog="Examples:  twintrain run --quick  |  twintrain run --recipe bare --set "
    "training.epochs=10  |  "
    "twintrain run --data data/photos --recipe data/photos/recipe.yaml --root runs/photos"
)
def run(
    recipe: RecipeOption = "standard",
    overrides: SetOption = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Directory of IDX files (`data import` makes one) or of span-N.",
            show_default="MNIST",
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="Curated schema.", show_default="schema.pbtxt of the data, else MNIST's"),
    ] = None,
    root: Annotated[Path, typer.Option(help="Everything the run writes goes here.")] = Path(
        "runs/default"
    ),
    span: Annotated[
        str | None,
        typer.Option(
            metavar="N|latest",
            help="Which span-N to use. With `latest` nothing is done where the newest complete one "
            "has been compared "
            "with this recipe on this root.",
            show_default="the newest complete one",
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A stratified sample of 6,000 examples, about two minutes."),
    ] = False,
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
    _need_pipeline()
    from pipelines.config import REPOSITORY, RunConfig
    from twintrain.recipe.files import load_recipe

    bundled = REPOSITORY / "data"
    config = RunConfig(
        recipe=load_recipe(recipe, [*(QUICK if quick else []), *(overrides or [])]),
        data=(data or bundled).resolve(),
        schema_file=_readable(schema or _schema_of(data or bundled, bundled)),
        root=root.resolve(),
        cache=cache,
        workers=workers,
        seeds_at_a_time=seeds_at_a_time,
    )
    raise typer.Exit(_run(config, span))


def _run(config: RunConfig, span: str | None) -> int:
    """Run, show it, and say how it ended; the command's exit code."""
    from pipelines.cli.progress_view import view_for
    from pipelines.cli.span_choice import span_to_run
    from pipelines.cli.summary import print_outcome
    from pipelines.local.launch import own_root
    from pipelines.local.launch import run as launch

    console, recipe = Console(highlight=False), config.recipe
    with own_root(config.root) as lock:
        config = config.model_copy(update={"span": span_to_run(config, span)})
        title = f"[bold]Twintrain[/] recipe {escape(recipe.name)}, seeds {escape(str(list(recipe.seeds)))}"
        console.print(f"{title}, data {escape(str(config.data))}", soft_wrap=True)
        try:
            outcome = launch(
                config,
                view_for(console),
                lock,
                lambda log: console.print(f"log {log}", style="dim", markup=False, soft_wrap=True),
            )
        except KeyboardInterrupt:
            # Said here: Typer ends on Ctrl-C without a word.
            again = "Finished steps and epochs are kept; the same command goes on from there."
            typer.echo(f"\nInterrupted. {again}", err=True)
            return 130
        return print_outcome(console, config, outcome)


@app.command("recipe")
def show_recipe(recipe: RecipeOption = "standard", overrides: SetOption = None) -> None:
    """Print a recipe in full, every field with its value, and its hash."""
    from twintrain.recipe.files import load_recipe, to_yaml

    loaded = load_recipe(recipe, overrides or [])
    typer.echo(f"# hash {loaded.hash}\n{to_yaml(loaded)}", nl=False)


def _schema_of(data: Path, bundled: Path) -> Path:
    """The schema beside the data; where there is none, that of the bundled data."""
    own = data / "schema.pbtxt"
    return own if own.exists() else bundled / "schema.pbtxt"


def _readable(path: Path) -> Path:
    try:
        path.open("rb").close()
    except OSError as error:
        raise TwintrainError(
            f"The schema {path} cannot be read: {error.strerror}.", "Name one with --schema."
        ) from error
    return path.resolve()


def _need_pipeline() -> None:
    if importlib.util.find_spec("tfx") is None:
        raise TwintrainError(
            "This command runs the TFX pipeline, and TFX is not installed here.",
            "In the repository, `make install` sets it up; elsewhere install twintrain[pipeline].",
        )


def main() -> None:
    """Entry point: a foreseen problem becomes two lines and exit code 2."""
    try:
        app()
    except TwintrainError as error:
        console = Console(stderr=True, highlight=False)
        console.print("[bold red]Error:[/]", end=" ")
        console.print(error.problem, markup=False, soft_wrap=True)
        if error.remedy:
            console.print(error.remedy, markup=False, style="cyan", soft_wrap=True)
        sys.exit(2)
