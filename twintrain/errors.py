"""The one exception a user is meant to read.

Everything foreseeable (bad data, a bad recipe, a busy root) is raised as `TwintrainError`: a
sentence that says what is wrong and where, and one that says what to do. The command line prints it
without a traceback; anything else is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError


class TwintrainError(Exception):
    """A foreseeable problem, worded for the user.

    Args:
        problem: what is wrong, naming the file, key or value.
        remedy: what to do about it, one sentence.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem if not remedy else f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # Beam carries exceptions between processes by pickling them.
        return type(self), (self.problem, self.remedy)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the known word nearest to `word`, or lists the known ones when none
    is near.
    """
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known here: {', '.join(known)}."


def explained(error: ValidationError, root: type[BaseModel], title: str) -> str:
    """What is wrong with a file's content, one line per key.

    Args:
        error: raised by `root.model_validate`.
        root: the model, which knows the keys that would have been right.
        title: what the content is, as the beginning of a sentence.
    """
    lines = [f"{title} is not valid:"]
    for problem in error.errors():
        place = problem["loc"]
        where = ".".join(str(part) for part in place)
        if problem["type"] == "extra_forbidden":
            lines.append(
                f"  {where}: no such key. "
                f"{did_you_mean(str(place[-1]), _keys_at(root, place[:-1]))}"
            )
            continue
        text = problem["msg"].removeprefix("Value error, ")
        given = problem["input"]
        shown = "" if isinstance(given, (dict, BaseModel)) else f" (given: {given!r})"
        lines.append(f"  {where or 'as a whole'}: {text}{shown}")
    return "\n".join(lines)


def _keys_at(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    section: Any = root
    for part in location:
        fields = getattr(section, "model_fields", {})
        section = _model_in(fields[part].annotation) if part in fields else section
    return list(getattr(section, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    """The model in an annotation: itself, or what a list, a mapping or an optional holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        (found for inner in typing.get_args(annotation) if (found := _model_in(inner)) is not None),
        None,
    )
