"""`twintrain diagnose` and `twintrain pitfalls`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from pipelines.cli.diagnosis_output import (
    Form,
    form_of,
    look_at_page,
    tell,
    tell_failure,
    write_page,
)
from pipelines.cli.exit_codes import OF_VERDICT, ExitCode
from pipelines.cli.interruption import tell_interrupted
from twintrain.diagnosis.budget import DEADLINE
from twintrain.errors import TwintrainError
from twintrain.processes.replacing import replace_text

if TYPE_CHECKING:
    from twintrain.diagnosis.result import Diagnosis
    from twintrain.diagnosis.worker import Task

# Where the context of the command keeps the arguments behind `--`.
SCRIPT_ARGUMENTS = "twintrain.script_arguments"
EXAMPLE = """
Takes what people have, and runs it as it is, on a copy of the folder it is in:

    twintrain diagnose train.py                      # fit and a loop of your own in one script
    twintrain diagnose keras_version.py tf_version.py
    twintrain diagnose notebook.ipynb
    twintrain diagnose train.py -- --epochs 50       # behind --: the script's own arguments

The code is run: name only files that you would run yourself. Its trainings are cut to a few hundred
steps, its data to the first rows; both sides get the same weights before their first step.

For experts, a module of four functions says by itself what is what:

    def build_model(): ...                      # a keras.Model
    def make_dataset(split): ...                # "train" or "test": a batched tf.data.Dataset
    def keras_fit(model, ds, epochs): ...       # compile and fit
    def custom_loop(model, ds, epochs): ...     # your loop

Both trainers may return nothing, a model, a log, or (model, log).

Exit codes: 0 identical, in all that was compared; 4 causes found; 5 unknown: they differ and
nothing known explains how, or not all could be compared; 3 the code could not be run; 2 the message
tells what to mend (no such file, nothing that trains); 1 Twintrain itself failed. With --json,
standard output is one JSON object in each of these cases.
"""
REPORT_IT = "This is a fault of Twintrain, not of the code; please report it with the lines above."


class ScriptCommand(TyperCommand):
    """A command whose arguments behind `--` are those of a script."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Split the arguments; the script's are kept in the context."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[SCRIPT_ARGUMENTS] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        "diagnose",
        cls=ScriptCommand,
        help=f"Name the reason why a custom loop and fit differ.\n\n\b{EXAMPLE}",
    )(diagnose)
    app.command("pitfalls")(pitfalls)


Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE [FILE] [-- ARGUMENTS]",
        help="A script or notebook with both trainings; or two, the one that calls fit first; "
        "or a module of four functions.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")]
FitLine = Annotated[
    int | None, typer.Option(min=1, help="Line of the fit to take, where a script has several.")
]
LoopLine = Annotated[
    int | None, typer.Option(min=1, help="Line of the loop to take, where a script has several.")
]
StepNumber = Annotated[
    int | None, typer.Option(min=1, help="Print every tensor compared in this step.")
]
Deadline = Annotated[
    float,
    typer.Option(
        min=1,
        help="Seconds after which what has not ended by itself is stopped; importing is not "
        "counted. What was cut off makes the verdict unknown.",
    ),
]
Memory = Annotated[
    float | None,
    typer.Option(min=1, help="GiB that the code may take; all but a tenth by default."),
]
OutputForm = Annotated[
    Form | None,
    typer.Option(
        "--format",
        help="What to print: text; json, as --json does; or github, workflow commands, which "
        "GitHub shows beside the lines.",
    ),
]
WriteLoop = Annotated[
    Path | None,
    typer.Option(help="Write the side that was made, where the code has one only, here."),
]
Page = Annotated[
    Path | None, typer.Option(help="Write a page with everything found to this file, too.")
]


def diagnose(
    ctx: typer.Context,
    files: Files,
    as_json: AsJson = False,
    fit: FitLine = None,
    loop: LoopLine = None,
    step: StepNumber = None,
    deadline: Deadline = DEADLINE,
    memory: Memory = None,
    form: OutputForm = None,
    write_loop: WriteLoop = None,
    html: Page = None,
) -> None:
    """Name the reason why a custom loop and fit differ."""
    from twintrain.diagnosis.worker import Task

    form = form_of(form, as_json)

    task = Task(
        files=files,
        arguments=ctx.meta.get(SCRIPT_ARGUMENTS, []),
        fit=fit,
        loop=loop,
        deadline=deadline,
        here=Path.cwd(),
        memory=_memory() if memory is None else int(memory * 2**30),
    )
    found = _found(task, form, html)
    tell(found, form, step)
    if write_loop is not None:
        _write_made(found, write_loop)
    name = " and ".join(file.name for file in files)
    if html is not None and not write_page(found, name, html):
        raise typer.Exit(ExitCode.MEND)
    raise typer.Exit(OF_VERDICT[found.verdict])


def _write_made(found: Diagnosis, path: Path) -> None:
    """Write the code of the side that was made, or tell why there is none."""
    if found.made is None:
        typer.echo("Nothing was made: the code has both sides.", err=True)
        return
    try:
        replace_text(path, found.made.code)
    except OSError as error:
        typer.echo(f"{path} cannot be written: {error.strerror}.", err=True)
        raise typer.Exit(ExitCode.MEND) from None


def _memory() -> int | None:
    """Bytes a diagnosis may take by default: nine tenths of what is free."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    told = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return int(0.9 * max([free, *told]))


def _found(task: Task, form: Form, html: Path | None) -> Diagnosis:
    """The diagnosis, with its progress shown; a failure is shown too, and ends the command."""
    from twintrain.diagnosis.scripts.source import look
    from twintrain.diagnosis.worker import CodeFailedError, DiagnosisFailedError, run

    progress = Console(stderr=True, highlight=False)
    try:
        look(task.files)
        look_at_page(html)
        with progress.status("starting TensorFlow") as status:

            def report(line: str) -> None:
                status.update(line)
                if not progress.is_terminal:
                    typer.echo(line, err=True)

            return run(task, report)
    except TwintrainError as error:
        raise _failed(ExitCode.MEND, form, error.problem, error.remedy) from None
    except CodeFailedError as error:
        told = error.traceback
        raise _failed(ExitCode.CODE_FAILED, form, error.problem, error.remedy, told) from None
    except DiagnosisFailedError as error:
        raise _failed(ExitCode.FAULT, form, error.problem, REPORT_IT, error.log) from None
    except KeyboardInterrupt:
        nothing = "Nothing was changed."
        tell_interrupted(nothing)
        if form is not Form.TEXT:
            tell_failure(form, "Interrupted.", nothing, "")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _failed(
    code: ExitCode, form: Form, problem: str, remedy: str, traceback: str = ""
) -> typer.Exit:
    """Tell what failed; how to end then."""
    tell_failure(form, problem, remedy, traceback)
    return typer.Exit(code)


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
