"""`twintrain clean`: what nobody needs any more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.cli.needs import need_pipeline
from twintrain.errors import TwintrainError


def register(app: typer.Typer) -> None:
    """Add the command to the `twintrain` application."""
    app.command(epilog="Example:  twintrain clean --root runs/nightly --keep 7 --dry-run")(clean)


def clean(
    root: Annotated[Path, typer.Option(help="Of the runs.")] = Path("runs/default"),
    keep: Annotated[
        int, typer.Option(min=1, help="So many of the newest runs that went through stay whole.")
    ] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
) -> None:
    """Remove results and logs that the newest runs on a root do not use, failed ones since then
    counted in, and temporary folders that killed processes have left.

    Reports that a record refers to, pushed twins, records and unfinished trainings stay.
    """
    need_pipeline()
    from pipelines.local.launch import own_root
    from pipelines.local.retention import leftovers
    from twintrain.processes.scratch import remove_abandoned

    console = Console(highlight=False)
    if not root.is_dir():
        raise TwintrainError(f"There is no root at {root}.", "Name one that was run on: --root")
    with own_root(root):
        found = leftovers(root.resolve(), keep)
        for place in found.places:
            console.print(str(place), style="dim", markup=False, soft_wrap=True)
        if not dry_run:
            found.remove()
    word = "would go" if dry_run else "removed"
    console.print(
        f"{len(found.places)} results and logs {word}, {found.size / 1e6:,.1f} MB. Kept whole: the "
        f"newest {min(keep, found.runs)} of {found.runs} runs that went through."
    )
    abandoned = [] if dry_run else remove_abandoned()
    if abandoned:
        console.print(f"{len(abandoned)} temporary folders of killed processes removed.")
