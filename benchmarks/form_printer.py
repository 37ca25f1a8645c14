"""Prints a module with the four functions in the forms in which people write such code.

    module = read_module(Path("tests/cases/tf29108_clip_by_global_norm.py"))
    print_form("script", module)  # {"train.py": "import keras\\n..."}

Names stay as they are and comments are left out. `ds` is what make_dataset gives, made by the same
code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.form_classes import class_sections, main_sections
from benchmarks.form_inline import CannotInlineError
from benchmarks.form_names import source_of
from benchmarks.form_sections import Section, Wish, sections_of
from benchmarks.form_source import Module
from benchmarks.form_step import NoStepError
from benchmarks.form_train_step import train_step_sections


class CannotPrintError(Exception):
    """A module that cannot be brought into a form, and why."""


@dataclass
class Printed:
    """A module in one form.

    Attributes:
        files: text by file name, in the order in which they are named to the command.
        kept: functions that could not be inlined, each with the reason.
    """

    files: dict[str, str]
    kept: list[str] = field(default_factory=list)


def text_of(sections: list[Section]) -> str:
    """A script, its parts apart by empty lines."""
    return "\n\n".join(source_of(section.body) for section in sections if section.body) + "\n"


def _printed(file: str, sections: list[Section]) -> Printed:
    kept = [line for section in sections for line in section.kept]
    return Printed({file: text_of(sections)}, kept)


def script(module: Module) -> Printed:
    """One script: the data, fit, the loop."""
    return _printed("train.py", sections_of(module, Wish()))


def loop_alone(module: Module) -> Printed:
    """The script without fit."""
    return _printed("train_loop.py", sections_of(module, Wish(sides=("custom_loop",))))


def fit_alone(module: Module) -> Printed:
    """The script without the loop."""
    return _printed("train_fit.py", sections_of(module, Wish(sides=("keras_fit",))))


def two_scripts(module: Module) -> Printed:
    """Two complete scripts, each with the model made by statements."""
    found = Printed({})
    for file, side in (("keras_version.py", "keras_fit"), ("tf_version.py", "custom_loop")):
        one = _printed(file, sections_of(module, Wish(sides=(side,), model_inline=True)))
        found.files |= one.files
        found.kept += [f"{file}: {line}" for line in one.kept]
    return found


def arrays(module: Module) -> Printed:
    """The script with fit given arrays, in the same order and batches."""
    try:
        return _printed("train.py", sections_of(module, Wish(arrays=True)))
    except CannotInlineError as why:
        raise CannotPrintError(str(why)) from None


def trainer_class(module: Module) -> Printed:
    """A class with a method for fit and one for the loop."""
    return _printed("train.py", class_sections(module))


def main_argparse(module: Module) -> Printed:
    """A program with `main()` and options."""
    return _printed("train.py", main_sections(module))


def train_step(module: Module) -> Printed:
    """The loop as a model with a train_step of its own."""
    try:
        return _printed("train.py", train_step_sections(module))
    except NoStepError as why:
        raise CannotPrintError(str(why)) from None


def notebook(module: Module) -> Printed:
    """A notebook: a cell each for imports, data, model, fit and loop.

    Some begin with words, some have a magic among the imports, some a shell command.
    """
    sections = sections_of(module, Wish(show="{}"))
    imports, constants, data, *rest = sections
    kind = zlib.crc32(module.name.encode())
    head = text_of([imports])
    cells = []
    if kind % 2:
        cells.append(_cell("markdown", "# Training\n\nThe same model, once with `fit`."))
    if kind % 3 == 0:
        head += "\n%matplotlib inline\n"
    cells.append(_cell("code", head))
    if kind % 5 < 2:
        cells.append(_cell("code", "!pip list"))
    cells.append(_cell("code", text_of([constants, data])))
    cells += [_cell("code", text_of([section])) for section in rest]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"file_extension": ".py", "name": "python"}
    whole = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": language},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    kept = [line for section in sections for line in section.kept]
    return Printed({"train.ipynb": json.dumps(whole, indent=1) + "\n"}, kept)


def _cell(kind: str, text: str) -> dict[str, object]:
    cell: dict[str, object] = {
        "cell_type": kind,
        "metadata": {},
        "source": text.strip().splitlines(keepends=True),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def plain_python(text: str) -> str:
    """The code of a notebook without what only a notebook understands."""
    cells = [c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    lines = "\n\n".join("".join(source) for source in cells).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("%", "!"))) + "\n"


FORMS: dict[str, Callable[[Module], Printed]] = {
    "script": script,
    "two_scripts": two_scripts,
    "notebook": notebook,
    "trainer_class": trainer_class,
    "main_argparse": main_argparse,
    "train_step": train_step,
    "loop_alone": loop_alone,
    "fit_alone": fit_alone,
    "arrays": arrays,
}


def print_form(form: str, module: Module) -> Printed:
    """A module in one of `FORMS`.

    Raises:
        CannotPrintError: it cannot be brought into that form.
    """
    return FORMS[form](module)
