"""The forms in which `twintrain diagnose` tells what it found, or why it found nothing."""

from __future__ import annotations

import enum
import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from twintrain.diagnosis.result import Diagnosis


class Form(str, enum.Enum):
    """What standard output is for."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def form_of(form: Form | None, as_json: bool) -> Form:
    """The form that is asked for by `--format` and `--json`.

    Raises:
        typer.BadParameter: they contradict each other.
    """
    if as_json and form not in (None, Form.JSON):
        raise typer.BadParameter(f"--json and --format {form.value} exclude each other.")
    return Form.JSON if as_json else form or Form.TEXT


def look_at_page(path: Path | None) -> None:
    """See that a page can be written there, before a diagnosis begins.

    Raises:
        TwintrainError: it cannot.
    """
    if path is None:
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {path.parent}")
        # It is written under another name beside it, and then takes its place.
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise TwintrainError(
            f"The page {path} cannot be written: {error.strerror}.", "Choose another with --html."
        ) from error


def write_page(found: Diagnosis, name: str, path: Path) -> bool:
    """Write the page, and whether it could be written after all: what was found is told by then."""
    from twintrain.report.diagnosis_page import write_diagnosis

    try:
        write_diagnosis(found, name, path)
    except OSError as error:
        tell_failure(Form.TEXT, f"The page {path} cannot be written: {error.strerror}.", "", "")
        return False
    return True


def tell(found: Diagnosis, form: Form, step: int | None) -> None:
    """Print a diagnosis, and every tensor of a step where that is asked for."""
    from twintrain.diagnosis.github import commands
    from twintrain.diagnosis.show import show, show_step

    if form is Form.JSON:
        typer.echo(found.model_dump_json(indent=1, exclude=set() if step else {"tables"}))
    elif form is Form.GITHUB:
        for line in commands(found):
            typer.echo(line)
    else:
        console = Console(highlight=False)
        show(console, found)
        if step is not None:
            show_step(console, found, step)


def tell_failure(form: Form, problem: str, remedy: str, traceback: str) -> None:
    """Print why there is no diagnosis: in words on standard error, or for programs."""
    if form is Form.JSON:
        told = {"verdict": "unknown", "error": problem, "remedy": remedy, "traceback": traceback}
        typer.echo(json.dumps(told))
        return
    console = Console(stderr=True, highlight=False)
    if traceback:
        console.print(Text(traceback.rstrip()))
    console.print(Text.assemble(("Error: ", "bold red"), problem), soft_wrap=True)
    if remedy:
        console.print(Text(remedy), soft_wrap=True)
    if form is Form.GITHUB:
        from twintrain.diagnosis.github import command

        typer.echo(command("error", problem, "\n".join(filter(None, (remedy, traceback)))))
