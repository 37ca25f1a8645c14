"""`twintrain diagnose` and `twintrain pitfalls`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipelines.cli.diagnosis_output import (
    Form,
    form_of,
    look_at_page,
    tell,
    tell_failure,
    write_page,
)
from pipelines.cli.exit_codes import OF_VERDICT, ExitCode
from pipelines.cli.first_look import names_bound_in
from twintrain.diagnosis.budget import DEADLINE
from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from twintrain.diagnosis.result import Diagnosis

EXAMPLE = """
The module defines four functions, and is run as it is:

    def build_model(): ...                      # a keras.Model
    def make_dataset(split): ...                # "train" or "test": a batched tf.data.Dataset
    def keras_fit(model, ds, epochs): ...       # compile and fit
    def custom_loop(model, ds, epochs): ...     # your loop

Both trainers may return nothing, a model, a log, or (model, log).

Exit codes: 0 identical, in all that was compared; 4 causes found; 5 unknown: they differ and
nothing known explains how, or not all could be compared; 3 the code could not be run; 2 the message
tells what to mend (no such file, a missing function); 1 Twintrain itself failed. With --json,
standard output is one JSON object in each of these cases.
Example:  twintrain diagnose my_training.py --json
"""
REPORT_IT = "This is a fault of Twintrain, not of the code; please report it with the lines above."
# What the module defines, and how each is called.
FUNCTIONS = {
    "build_model": "build_model()",
    "make_dataset": "make_dataset(split)",
    "keras_fit": "keras_fit(model, ds, epochs)",
    "custom_loop": "custom_loop(model, ds, epochs)",
}


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
        float,
        typer.Option(
            min=1,
            help="Seconds after which what has not ended by itself is stopped; importing is not "
            "counted. What was cut off makes the verdict unknown.",
        ),
    ] = DEADLINE,
    form: Annotated[
        Form | None,
        typer.Option(
            "--format",
            help="What to print: text; json, as --json does; or github, workflow commands, which "
            "GitHub shows beside the lines.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with everything found to this file, too.")
    ] = None,
) -> None:
    """Name the reason why a custom loop and fit differ."""
    form = form_of(form, as_json)
    found = _found(module, deadline, form, html)
    tell(found, form, step)
    if html is not None and not write_page(found, module.name, html):
        raise typer.Exit(ExitCode.MEND)
    raise typer.Exit(OF_VERDICT[found.verdict])


def _found(module: Path, deadline: float, form: Form, html: Path | None) -> Diagnosis:
    """The diagnosis, with its progress shown; a failure is shown too, and ends the command."""
    from twintrain.diagnosis.worker import CodeFailedError, DiagnosisFailedError, run

    progress = Console(stderr=True, highlight=False)
    try:
        _look(module)
        look_at_page(html)
        with progress.status("starting TensorFlow") as status:

            def report(line: str) -> None:
                status.update(line)
                if not progress.is_terminal:
                    typer.echo(line, err=True)

            return run(module, deadline, report)
    except TwintrainError as error:
        raise _failed(ExitCode.MEND, form, error.problem, error.remedy) from None
    except CodeFailedError as error:
        told = error.traceback
        raise _failed(ExitCode.CODE_FAILED, form, error.problem, error.remedy, told) from None
    except DiagnosisFailedError as error:
        raise _failed(ExitCode.FAULT, form, error.problem, REPORT_IT, error.log) from None
    except KeyboardInterrupt:
        nothing = "Nothing was changed."
        raise _failed(ExitCode.INTERRUPTED, form, "Interrupted.", nothing) from None


def _failed(
    code: ExitCode, form: Form, problem: str, remedy: str, traceback: str = ""
) -> typer.Exit:
    """Tell what failed; how to end then."""
    tell_failure(form, problem, remedy, traceback)
    return typer.Exit(code)


def _look(module: Path) -> None:
    """See that the file is there and has the four functions, before TensorFlow is started.

    Raises:
        TwintrainError: it has not.
    """
    if not module.is_file():
        raise TwintrainError(
            f"There is no file {module}.",
            f"Name a Python module with {', '.join(FUNCTIONS)}; `twintrain diagnose --help` shows "
            "one.",
        )
    known = names_bound_in(module)
    missing = [name for name in FUNCTIONS if known is not None and name not in known]
    if missing:
        raise TwintrainError(
            f"{module} has no function {', '.join(missing)}.",
            f"Add {', '.join(FUNCTIONS[name] for name in missing)}.",
        )


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
