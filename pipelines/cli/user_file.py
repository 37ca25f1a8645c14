"""A Python file of the user's, made importable in this process and in those it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twintrain.errors import TwintrainError


def importable(option: str, name: str) -> tuple[Path, str]:
    """Put a file's folder on the path of this process and of those it starts.

    Args:
        option: that names it, for messages.
        name: of the file.

    Returns:
        the file, and its module's name.

    Raises:
        TwintrainError: there is no such file, it is no Python, or its name is no module's.
    """
    from pipelines.cli.first_look import syntax_error_in

    file = Path(name).resolve()
    if file.suffix != ".py" or not file.is_file():
        raise TwintrainError(
            f"{option}: there is no Python file {name!r}.",
            "Name a .py file that is there.",
        )
    module = file.stem
    loaded = getattr(sys.modules.get(module), "__file__", None)
    taken = module in sys.modules and loaded != str(file)
    if not module.isidentifier() or module in sys.stdlib_module_names or taken:
        raise TwintrainError(
            f"{option}: {file.name} cannot be imported under its name: "
            + ("another module is called so." if module.isidentifier() else "it is no name."),
            "Rename the file, to my_loop.py for instance.",
        )
    wrong = syntax_error_in(file)
    if wrong:
        raise TwintrainError(f"{option}: {wrong}.", "Mend it: nothing was started.")
    folder = str(file.parent)
    places = [folder, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return file, module
