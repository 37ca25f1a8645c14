"""Which span a run takes, and whether there is anything to do."""

from __future__ import annotations

import typer

from pipelines.config import RunConfig
from twintrain.data.spans import choose_span
from twintrain.errors import TwintrainError

LATEST = "latest"


def span_to_run(config: RunConfig, asked: str | None) -> int | None:
    """The span to run on; None for data without spans.

    Args:
        config: the run, its `span` not yet set.
        asked: a number, 'latest', or None for the newest complete span.

    Raises:
        TwintrainError: there is no such span, or it is not complete.
        typer.Exit: 'latest' was asked for and has been compared with this recipe: nothing is left
            to do.
    """
    if asked is not None and asked != LATEST and not asked.isdecimal():
        raise TwintrainError(
            f"--span {asked!r} is neither a number nor `latest`.", "Example: --span latest"
        )
    span, skipped = choose_span(config.data, None if asked in (None, LATEST) else int(asked))
    for line in skipped:
        typer.echo(f"{line} Taking span {span}.", err=True)
    if asked != LATEST:
        return span
    if span is None:
        raise TwintrainError(f"{config.data} has no span-N directories.", "Leave --span out.")
    from twintrain.trend.record_store import RecordStore  # statistics come with it: a second

    if RecordStore(config.record_place).has(span, config.recipe.name, config.recipe.hash):
        typer.echo(
            f"Nothing to do: span {span} has been compared with this recipe "
            f"({config.record_place})."
        )
        raise typer.Exit
    return span
