"""`--loop FILE.py`: a loop of the user's own as the loop twin."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

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
    file = Path(name).resolve()
    if file.suffix != ".py" or not file.is_file():
        raise TwintrainError(
            f"--loop: there is no Python file {name!r}.", "Name a .py file that has the function."
        )
    module = file.stem
    if not module.isidentifier() or module in sys.stdlib_module_names or module in sys.modules:
        raise TwintrainError(
            f"--loop: {file.name} cannot be imported under its name: "
            + ("another module is called so." if module.isidentifier() else "it is no name."),
            "Rename the file, to my_loop.py for instance.",
        )
    chosen = _function(file, function)
    places = [str(file.parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
    sys.path.insert(0, str(file.parent))
    return [f"twins.loop={module}:{chosen}"]


def _function(file: Path, function: str) -> str:
    """The function to call, which the file seems to have."""
    from pipelines.cli.first_look import names_bound_in, syntax_error_in

    wrong = syntax_error_in(file)
    if wrong:
        raise TwintrainError(f"--loop: {wrong}.", "Mend it: nothing was started.")
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
