"""The one exception a user is meant to read.

Everything foreseeable (bad data, a bad recipe, a busy root) is raised as `TwintrainError`: a
sentence that says what is wrong and where, and one that says what to do. The command line prints it
without a traceback; anything else is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import os
import reprlib
import typing
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

# A message is read on a terminal; what is beyond these is seldom more than the content of a file
# that is no such file.
MOST_CHARACTERS = 4_000
_TAIL = 40  # of them, for saying how many there were
_MOST_KEYS = 10  # that are explained

_SPACE = "Free some space there, or choose another place."
_RIGHTS = "Check its mode and owner, or choose another place."
# Refusals of the system that no code can foresee, and what to do about each.
_REFUSALS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: _SPACE,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "It is on a file system that is read only: choose another place.",
    errno.EIO: "The disk reports a fault: look at it before anything else.",
}

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80


class TwintrainError(Exception):
    """A foreseeable problem, worded for the user.

    Args:
        problem: what is wrong, naming the file, key or value; cut after `MOST_CHARACTERS`.
        remedy: what to do about it, one sentence; cut as well.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        problem, remedy = shortened(problem), shortened(remedy)
        super().__init__(problem if not remedy else f"{problem}\n{remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # Beam carries exceptions between processes by pickling them.
        return type(self), (self.problem, self.remedy)


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """A text of at most `most` characters, and how many more it had."""
    if len(text) <= most:
        return text
    kept = max(1, most - _TAIL)
    return f"{text[:kept]}… ({len(text) - kept:,} characters more)"


def refused_by_system(error: BaseException) -> TwintrainError | None:
    """What to say where the system refused to write or read: no space, no right, a disk that fails.

    Args:
        error: any exception; what TensorFlow and ML Metadata make of such an error counts too.

    Returns:
        None where it is nothing of that kind.
    """
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        where = f"{error.filename} cannot be used" if error.filename else "A file cannot be written"
        return TwintrainError(f"{where}: {os.strerror(error.errno)}.", _REFUSALS[error.errno])
    text = str(error)
    full = os.strerror(errno.ENOSPC)
    if full in text or "database or disk is full" in text:
        return TwintrainError(f"A file cannot be written: {full}.", _REFUSALS[errno.ENOSPC])
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the known word nearest to `word`, or lists the known ones when none
    is near.
    """
    known, word = sorted(known), shortened(word, 80)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known here: {', '.join(known)}."


def explained(error: ValidationError, root: type[BaseModel], title: str) -> str:
    """What is wrong with a file's content, one line per key, of the first ten keys.

    Args:
        error: raised by `root.model_validate`.
        root: the model, which knows the keys that would have been right.
        title: what the content is, as the beginning of a sentence.
    """
    lines = [f"{title} is not valid:"]
    problems = error.errors()
    for problem in problems[:_MOST_KEYS]:
        place = problem["loc"]
        where = shortened(".".join(str(part) for part in place), 200)
        if problem["type"] == "extra_forbidden":
            lines.append(
                f"  {where}: no such key. "
                f"{did_you_mean(str(place[-1]), _keys_at(root, place[:-1]))}"
            )
            continue
        text = shortened(problem["msg"].removeprefix("Value error, "), 400)
        given = problem["input"]
        shown = "" if isinstance(given, (dict, BaseModel)) else f" (given: {_short.repr(given)})"
        lines.append(f"  {where or 'as a whole'}: {text}{shown}")
    if len(problems) > _MOST_KEYS:
        lines.append(f"  and {len(problems) - _MOST_KEYS:,} more")
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
