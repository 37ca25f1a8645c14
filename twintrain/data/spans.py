"""Spans: which dated drops of data there are, and which of them are complete.

A span is complete when whoever writes it says so with a file `_SUCCESS` in its directory; where no
span of a data set has such a file, when its four IDX files are there with as many bytes as their
headers promise, or a table is there.
"""

from __future__ import annotations

from pathlib import Path

from twintrain.data import idx
from twintrain.data.tables import is_table
from twintrain.errors import TwintrainError

MARKER = "_SUCCESS"


def choose_span(data: Path, span: int | None) -> tuple[int | None, list[str]]:
    """The span to take: the one asked for, or the newest complete one.

    Args:
        data: a directory of IDX files, or of `span-N` sub-directories.
        span: the one asked for; None for the newest.

    Returns:
        its number (None for data without spans), and one line for every newer span that is not
        complete.

    Raises:
        TwintrainError: the span asked for is not there or not complete, or none is complete.
    """
    spans = idx.find_spans(data)
    if not spans:
        if span is None:
            return None, []
        raise TwintrainError(
            f"{data} has no span-N directories, so no span {span} either.", "Leave --span out."
        )
    if span is not None:
        if span not in spans:
            known = ", ".join(map(str, sorted(spans)))
            raise TwintrainError(f"{data} has no span {span}.", f"It has: {known}.")
        reason = _missing(spans[span], spans)
        if reason:
            raise TwintrainError(
                f"Span {span} is not complete: {reason}", "Wait until it is written, or mend it."
            )
        return span, []
    skipped: list[str] = []
    for number in sorted(spans, reverse=True):
        reason = _missing(spans[number], spans)
        if reason is None:
            return number, skipped
        skipped.append(f"Span {number} is not complete: {reason}")
    raise TwintrainError(
        "No span is complete.\n" + "\n".join(skipped), "Wait until one is written, or mend it."
    )


def span_folder(data: Path, span: int | None) -> Path:
    """The directory that holds the files of a span `choose_span` gave."""
    return data if span is None else idx.find_spans(data)[span]


def span_pattern(data: Path, span: int) -> str:
    """The span's directory as a pattern for TFX, which numbers the examples after what {SPAN}
    matches.
    """
    digits = idx.find_spans(data)[span].name.removeprefix("span-")
    return "span-{SPAN}" if digits == str(span) else f"span-{{SPAN:{len(digits)}}}"


def _missing(folder: Path, spans: dict[int, Path]) -> str | None:
    """What a span lacks; None when it is complete."""
    if any((other / MARKER).exists() for other in spans.values()):
        return None if (folder / MARKER).exists() else f"{folder} has no file {MARKER} yet."
    if any(is_table(path) for path in folder.iterdir()) and not idx.is_begun(folder):
        return None
    try:
        for split in idx.SPLIT_PREFIXES:
            idx.inspect_pair(idx.find_pair(folder, split))
    except TwintrainError as error:
        return error.problem
    return None
