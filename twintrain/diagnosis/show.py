"""A diagnosis on the terminal: the verdict first, then why."""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from twintrain.diagnosis.catalogue import Pitfall, by_id
from twintrain.diagnosis.result import Cause, Diagnosis, Place, Reading, Replay
from twintrain.parity.divergence import Difference

# Whether a terminal is light or dark cannot be known. Of its own colours, red and magenta can be
# read on both; yellow, green and cyan cannot on white, nor blue on black. The rest is told apart by
# weight.
_GOOD, _BAD, _OPEN, _SOFT = "bold", "red", "magenta", "dim"
_CODE = ANSISyntaxTheme(
    {
        ("Comment",): Style(dim=True),
        ("Keyword",): Style(bold=True),
        ("Operator", "Word"): Style(bold=True),
    }
)
# A notebook is light or dark as well: there, colours with a contrast of 4 on white and on #1e1e1e.
_INK, _RED, _MAGENTA = (0, 0, 0), (228, 64, 64), (190, 80, 190)
_NOTEBOOK = TerminalTheme(
    (255, 255, 255), _INK, [_INK, _RED, _INK, _INK, _INK, _MAGENTA, _INK, _INK], None
)
SOURCES = {
    "established": "Reported as the cause in",
    "inferred": "Likely in",
    "documentation": "See",
}


def show(console: Console, found: Diagnosis) -> None:
    """Print a diagnosis."""
    console.print(_headline(found))
    for cause in found.causes:
        console.print(_cause(cause))
    if found.made is not None:
        console.print(Text(f"\n{found.made.title}\n", style="bold"))
        console.print(Syntax(found.made.code.rstrip(), "python", theme=_CODE))
        console.print()
    for line in found.unexplained:
        console.print(Text(f"Not explained: {line}.", style=_OPEN))
    for line in found.failures:
        console.print(Text(f"Twintrain failed here: {line}.", style=_OPEN))
    for looked in _coverage(found):
        console.print(looked)
    console.print(Text(_numbers(found), style=_SOFT))
    if found.phases and any(look.open for look in found.coverage):
        took = (f"{name} {seconds:.0f} s" for name, seconds in found.phases.items())
        console.print(Text(f"Time: {'; '.join(took)}.", style=_SOFT))
    for note in found.notes:
        console.print(Text(f"Note: {note}", style=_SOFT))
    if found.verdict == "unknown" and found.ruled_out:
        console.print(Text("Ruled out: " + ", ".join(found.ruled_out) + ".", style=_SOFT))


def as_html(found: Diagnosis) -> str:
    """The same for a notebook."""
    console = Console(record=True, width=110, file=io.StringIO())
    show(console, found)
    return console.export_html(
        theme=_NOTEBOOK,
        inline_styles=True,
        code_format="<pre style='line-height:1.2'>{code}</pre>",
    )


def _headline(found: Diagnosis) -> Text:
    if found.verdict == "identical":
        return Text("\n".join(sentences(found)), style=_GOOD)
    style = _OPEN if found.verdict == "unknown" else _BAD
    return Text("\n".join(sentences(found)), style=f"bold {style}")


def sentences(found: Diagnosis) -> list[str]:
    """The verdict in words; where causes were found, a sentence for each."""
    if found.verdict == "identical":
        return ["keras_fit and custom_loop train alike."]
    if found.verdict == "unknown" and found.unexplained:
        return ["keras_fit and custom_loop differ, and no known pitfall reproduces how."]
    if found.verdict == "unknown":
        return ["No difference was found, but not all could be compared."]
    return [f"{cause.side} {by_id(cause.id).does}." for cause in found.causes]


def _coverage(found: Diagnosis) -> list[Text]:
    """What was compared in one line, and what was not in another."""
    lines = []
    for compared, head in ((True, "Compared: "), (False, "Not compared: ")):
        looks = [look for look in found.coverage if look.compared == compared]
        if looks:
            style = _OPEN if any(look.open for look in looks) else _SOFT
            said = "; ".join(f"{look.what} ({look.said})" for look in looks)
            lines.append(Text(f"{head}{said}.", style=style))
    return lines


def _cause(cause: Cause) -> RenderableType:
    parts: list[RenderableType] = [_place(place) for place in cause.places]
    parts += [Text(seen_in(cause)), Text()]
    parts += [part for table in _evidence(cause) for part in (table, Text())]
    parts += _mend(by_id(cause.id), cause.fix, cause.patch)
    return Panel(Group(*parts), title=f"[bold]{cause.id}[/]", title_align="left", border_style=_BAD)


def _place(place: Place) -> Text:
    return Text.assemble((f"{place.file}:{place.line}: ", "bold"), place.code)


def seen_in(cause: Cause) -> str:
    """Where it shows first, in words."""
    where = f"First seen in: {cause.first_visible}"
    if cause.step is not None:
        where += f", step {cause.step}"
    if cause.epoch is not None and cause.epoch > 1:
        where += f" (in epoch {cause.epoch})"
    return where


def _evidence(cause: Cause) -> list[Table]:
    """A table of what was computed again, and one of what was read off; those that have rows."""
    observed = f"observed in {cause.side}"
    replays = [row for row in cause.evidence if isinstance(row, Replay)]
    readings = [row for row in cause.evidence if isinstance(row, Reading)]
    tables = []
    if replays:
        table = _columns("", observed, "replayed with the pitfall", "correct")
        for row in replays:
            table.add_row(*map(Text, (row.quantity, row.observed, row.replayed, row.correct)))
        tables.append(table)
    if readings:
        table = _columns("", observed, "expected")
        for read in readings:
            table.add_row(*map(Text, (read.quantity, read.observed, read.expected)))
        tables.append(table)
    return tables


def _columns(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style=_SOFT)
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _mend(pitfall: Pitfall, fix: str, patch: str = "") -> list[RenderableType]:
    """What to do: in the user's own line where that is known, else in code that is right."""
    example = Syntax(pitfall.example.rstrip(), "python", theme=_CODE, word_wrap=True)
    return [
        Text(f"Fix: {fix}"),
        _patch(patch) if patch else example,
        Text(f"{SOURCES[pitfall.evidence]} {' '.join(pitfall.links)}", style=_SOFT),
    ]


def _patch(patch: str) -> Text:
    """The lines of a difference, without what names the file: that is told above."""
    shown = Text()
    for line in patch.splitlines()[2:]:
        style = {"-": _BAD, "+": "bold", "@": _SOFT}.get(line[:1], "")
        shown.append(line, style=style).append("\n")
    shown.rstrip()
    return shown


def _numbers(found: Diagnosis) -> str:
    first = "Nothing" if found.first_divergence is None else ""
    line = f"{first} differs by more than {found.tolerance:.1g} in the first {found.steps} steps."
    if found.first_divergence is not None:
        line = f"First divergence: {found.first_divergence.describe()}."
    if found.max_abs_difference is not None:
        line += f" Largest difference of the weights: {found.max_abs_difference:.3g}."
    return f"{line} {found.seconds:.0f} s."


def show_step(console: Console, found: Diagnosis, step: int) -> None:
    """Every tensor compared in one step (from 1)."""
    if not 1 <= step <= len(found.tables):
        compared = (
            f"Steps 1 to {len(found.tables)} were compared."
            if found.tables
            else "No step was compared."
        )
        console.print(Text(f"Step {step} was not compared. {compared}", style=_OPEN))
        return
    table = Table(title=f"Step {step}", title_justify="left")
    table.add_column("stage")
    table.add_column("tensor", overflow="fold")
    for name in ("absolute", "relative", "ulps"):
        table.add_column(name, justify="right")
    for row in found.tables[step - 1]:
        style = _BAD if row.exceeds(found.tolerance) else ""
        table.add_row(row.stage, Text(row.tensor), *_cells(row), style=style)
    console.print(table)


def _cells(row: Difference) -> list[str]:
    if row.max_abs is None:
        return ["shape or NaN", "", ""]
    return [
        f"{row.max_abs:.3g}",
        f"{row.max_rel:.3g}",
        "" if row.max_ulps is None else str(row.max_ulps),
    ]


def show_catalogue(console: Console, pitfalls: tuple[Pitfall, ...]) -> None:
    """All entries, a line each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "what the code does", "first shows at"):
        table.add_column(name, overflow="fold")
    for pitfall in pitfalls:
        table.add_row(pitfall.id, pitfall.does, pitfall.stage)
    console.print(table)


def show_pitfall(console: Console, pitfall: Pitfall) -> None:
    """One entry in full."""
    looks = Text(f"What it looks like: {pitfall.looks}")
    parts = [
        Text(f"The code {pitfall.does}."),
        Text(f"First shows at: {pitfall.stage}"),
        looks,
        Text(),
        *_mend(pitfall, pitfall.fix),
    ]
    console.print(Panel(Group(*parts), title=f"[bold]{pitfall.id}[/]", title_align="left"))
