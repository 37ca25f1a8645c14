"""`--loop FILE.py`: a loop of the user's own as the loop twin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.user_file import importable
from twintrain.errors import TwintrainError, did_you_mean

# What is looked for where no function is named.
USUAL = ("custom_loop", "train_step")

LoopOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py[:FUNCTION]",
        help="Your own loop as the loop twin: custom_loop(model, dataset, epochs), or "
        "train_step(model, optimizer, loss, inputs, targets) for one step.",
        show_default="the GradientTape loop that comes along",
    ),
]


def override_for(loop: str | None) -> list[str]:
    """What `--loop` sets in a recipe; its folder goes on the path of this process and of those it
    starts.

    Args:
        loop: a Python file, with ':' and a function where that is called otherwise than usual.

    Raises:
        TwintrainError: there is no such file or function, or the file's name is no module's.
    """
    if loop is None:
        return []
    name, _, function = loop.partition(":")
    file, module = importable("--loop", name)
    return [f"twins.loop={module}:{_function(file, function)}"]


def _function(file: Path, function: str) -> str:
    """The function to call, which the file seems to have."""
    from pipelines.cli.first_look import names_bound_in

    known = names_bound_in(file)
    wanted = (function,) if function else USUAL
    if known is None:
        return wanted[0]
    there = [name for name in wanted if name in known]
    if there:
        return there[0]
    raise TwintrainError(
        f"--loop: {file.name} has no {' and no '.join(wanted)}.",
        did_you_mean(wanted[0], known) if known else "The file defines nothing.",
    )
