"""A diagnosis as workflow commands of GitHub Actions, which shows them beside the lines they name.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
from pathlib import Path

from twintrain.diagnosis.catalogue import by_id
from twintrain.diagnosis.result import Cause, Diagnosis, Place, Replay
from twintrain.diagnosis.show import seen_in, sentences

# What ends a value, or would begin another: in a message, and in a property besides.
_IN_MESSAGES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTIES = _IN_MESSAGES | {":": "%3A", ",": "%2C"}


def commands(found: Diagnosis) -> list[str]:
    """An error for each cause, a warning where something is left unexplained, a notice else."""
    if found.verdict == "identical":
        return [command("notice", sentences(found)[0], _compared(found))]
    if found.verdict == "causes_found":
        return [
            command("error", sentence, _cause(cause), cause.places[0] if cause.places else None)
            for cause, sentence in zip(found.causes, sentences(found), strict=True)
        ]
    lines = [*found.unexplained, *found.failures]
    lines += [f"not compared: {look.what} ({look.said})" for look in found.coverage if look.open]
    return [command("warning", sentences(found)[0], "\n".join(lines))]


def command(kind: str, title: str, message: str, place: Place | None = None) -> str:
    """One command: a line, whatever stands in what it tells.

    Args:
        kind: 'error', 'warning' or 'notice'.
        title: of the annotation.
        message: below it.
        place: the line it belongs to.
    """
    properties = {"title": title}
    if place is not None:
        properties = {"file": _in_repository(place.file), "line": str(place.line), **properties}
    told = [f"{name}={_escaped(value, _IN_PROPERTIES)}" for name, value in properties.items()]
    return f"::{kind} {','.join(told)}::{_escaped(message, _IN_MESSAGES)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(letter, letter) for letter in text)


def _in_repository(file: str) -> str:
    """The file as GitHub knows it: from the root of the repository on."""
    root = os.environ.get("GITHUB_WORKSPACE")
    path = Path(os.path.abspath(file))
    return str(path.relative_to(root)) if root and path.is_relative_to(root) else file


def _compared(found: Diagnosis) -> str:
    looks = [f"{look.what} ({look.said})" for look in found.coverage if look.compared]
    return f"Compared: {'; '.join(looks)}."


def _cause(cause: Cause) -> str:
    lines = [f"{cause.id}. {seen_in(cause)}."]
    for row in cause.evidence:
        right = row.correct if isinstance(row, Replay) else row.expected
        lines.append(f"{row.quantity}: {row.observed}, and right is {right}")
    lines.append(f"Fix: {cause.fix}")
    lines += [cause.patch] if cause.patch else []
    return "\n".join([*lines, *by_id(cause.id).links])
