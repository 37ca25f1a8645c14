"""A notebook's code as one Python text, and where each of its lines stood."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twintrain.diagnosis.result import Diagnosis, Place
from twintrain.errors import TwintrainError, shortened
from twintrain.parsing.text_files import read_text_file

# Cell magics whose cell is ordinary Python below the first line.
_TRANSPARENT = {"time", "timeit", "capture", "prun", "memit"}
_REMEDY = "Save it again from Jupyter, or export it as a Python script."
_MAGIC = re.compile(r"^\s*[%!]|^\s*\w+\s*=\s*[!%]|^\s*[\w.]+\?{1,2}\s*$")


@dataclass(frozen=True)
class NotebookCode:
    """The code cells of a notebook, one below the other.

    Attributes:
        text: Python; what was left out is `pass`.
        cells: per line of the text, number of its code cell and of its line there, both from 1.
        left_out: magics and shell commands, as they stood.
    """

    text: str
    cells: tuple[tuple[int, int], ...]
    left_out: tuple[str, ...] = field(default=())


def read_notebook(path: Path) -> NotebookCode:
    """Read a notebook of format 3 or 4.

    Raises:
        TwintrainError: it is not one, or holds no Python.
    """
    text = read_text_file(path, "The notebook", _REMEDY)
    try:
        content = json.loads(text)
        cells = _cells(content)
        language = _language(content)
    # What a JSON of another kind brings about; ValueError: no JSON, or a number of more digits than
    # int() takes.
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        said = shortened(str(error), 200)
        raise TwintrainError(
            f"{path} is not a notebook: {type(error).__name__}: {said}.", _REMEDY
        ) from None
    if language != "python":
        said = shortened(language, 80)
        raise TwintrainError(f"{path} is a notebook of {said}.", "Name one of Python.")
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    left_out: list[str] = []
    for number, cell in enumerate(cells, start=1):
        for row, line in enumerate(_python(cell, left_out), start=1):
            lines.append(line)
            places.append((number, row))
    return NotebookCode("\n".join(lines) + "\n", tuple(places), tuple(left_out))


def in_cells(found: Diagnosis, sources: Sequence[Any]) -> Diagnosis:
    """A diagnosis whose places in a notebook's code are told by cell, and line of the cell.

    Args:
        found: by the lines of the code that was taken out of the notebook.
        sources: the files that were diagnosed (`twintrain.diagnosis.scripts.source.Source`).
    """
    cells = {f"{source.path.name}.py": source.cells for source in sources if source.cells}

    def placed(place: Place) -> Place:
        known = cells.get(Path(place.file).name)
        if known is None or not 1 <= place.line <= len(known):
            return place
        cell, line = known[place.line - 1]
        file = f"{place.file.removesuffix('.py')} (code cell {cell})"
        return place.model_copy(update={"file": file, "line": line})

    causes = [
        cause.model_copy(update={"places": [placed(place) for place in cause.places]})
        for cause in found.causes
    ]
    return found.model_copy(update={"causes": causes})


def without_magics(cell: str) -> str:
    """The Python of one cell; what is left out is `pass`."""
    return "\n".join(_python(cell, []))


def _cells(content: dict[str, Any]) -> list[str]:
    """The sources of the code cells."""
    cells = content["cells"] if "cells" in content else content["worksheets"][0]["cells"]
    sources = [
        cell["source"] if "source" in cell else cell["input"]
        for cell in cells
        if cell["cell_type"] == "code"
    ]
    return ["".join(source) for source in sources]


def _language(content: dict[str, Any]) -> str:
    metadata = content.get("metadata", {})
    found = metadata.get("kernelspec", {}).get("language")
    found = found or metadata.get("language_info", {}).get("name")
    return str(found or "python").lower()


def _python(cell: str, left_out: list[str]) -> list[str]:
    """The lines of a cell with what is no Python left out; as many lines as before."""
    lines = cell.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return lines
    head = lines[first].strip()
    if head.startswith("%%"):
        left_out.append(head)
        name = head[2:].split(" ")[0]
        if name not in _TRANSPARENT:
            return ["" for _ in lines]
        lines[first] = ""
    return [_without_magic(line, left_out) for line in lines]


def _without_magic(line: str, left_out: list[str]) -> str:
    if not _MAGIC.match(line):
        return line
    left_out.append(line.strip())
    indent = line[: len(line) - len(line.lstrip())]
    assigned = re.match(r"^\s*(\w+)\s*=", line)
    return f"{indent}{assigned.group(1)} = []" if assigned else f"{indent}pass"
