"""`twintrain diagnose` and `twintrain pitfalls`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

EXAMPLE = """
The module defines four functions, and is neither read nor changed:

    def build_model(): ...                      # a keras.Model
    def make_dataset(split): ...                # "train" or "test": a batched tf.data.Dataset
    def keras_fit(model, ds, epochs): ...       # compile and fit
    def custom_loop(model, ds, epochs): ...     # your loop

Both trainers may return nothing, a model, a log, or (model, log).

Exit codes: 0 identical; 1 causes found; 2 they differ and the cause is unknown; 3 the code could not be run.
Example:  twintrain diagnose my_training.py --json
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        "diagnose", help=f"Name the reason why a custom loop and fit differ.\n\n\b{EXAMPLE}"
    )(diagnose)
    app.command("pitfalls")(pitfalls)


def diagnose(
    module: Annotated[Path, typer.Argument(help="A Python file with the four functions.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
    step: Annotated[
        int | None, typer.Option(min=1, help="Print every tensor compared in this step.")
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=1, help="Seconds; a run that does not end is stopped.")
    ] = 120.0,
) -> None:
    """Name the reason why a custom loop and fit differ."""
    from twintrain.diagnosis.show import show, show_step
    from twintrain.diagnosis.worker import CodeFailedError, run

    console, progress = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        with progress.status("starting TensorFlow") as status:

            def tell(line: str) -> None:
                status.update(line)
                if not progress.is_terminal:
                    typer.echo(line, err=True)

            found = run(module, deadline, tell)
    except CodeFailedError as error:
        if as_json:
            typer.echo(
                json.dumps(
                    {"error": error.problem, "remedy": error.remedy, "traceback": error.traceback}
                )
            )
        else:
            _show_failure(progress, error.problem, error.remedy, error.traceback)
        raise typer.Exit(3) from None
    except KeyboardInterrupt:
        typer.echo("\nInterrupted. Nothing was changed.", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(found.model_dump_json(indent=1, exclude=set() if step else {"tables"}))
    else:
        show(console, found)
        if step is not None:
            show_step(console, found, step)
    raise typer.Exit(found.exit_code)


def _show_failure(console: Console, problem: str, remedy: str, traceback: str) -> None:
    if traceback:
        console.print(Text(traceback.rstrip()))
    console.print(Text.assemble(("Error: ", "bold red"), problem), soft_wrap=True)
    if remedy:
        console.print(Text(remedy, style="cyan"), soft_wrap=True)


def pitfalls(
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="Explain this one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the known reasons why a loop and fit differ, or explain one."""
    from twintrain.diagnosis.catalogue import by_id, catalogue
    from twintrain.diagnosis.show import show_catalogue, show_pitfall

    chosen = catalogue() if name is None else (by_id(name),)
    if as_json:
        typer.echo(
            json.dumps(
                [pitfall.model_dump() | {"links": pitfall.links} for pitfall in chosen], indent=1
            )
        )
    elif name is None:
        show_catalogue(Console(highlight=False), chosen)
    else:
        show_pitfall(Console(highlight=False), chosen[0])
