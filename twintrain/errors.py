"""The one exception a user is meant to read.

Everything foreseeable (bad data, a bad recipe, a busy root) is raised as `TwintrainError`: a sentence that says what
is wrong and where, and one that says what to do. The command line prints it without a traceback; anything else is a
bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    """A sentence that suggests the known word nearest to `word`, or lists the known ones when none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known here: {', '.join(known)}."
