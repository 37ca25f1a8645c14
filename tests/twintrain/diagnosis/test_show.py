"""A diagnosis on a terminal and in a notebook."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tests.twintrain.diagnosis.diagnoses import PATCH, cause, diagnosis
from twintrain.diagnosis.catalogue import by_id, catalogue
from twintrain.diagnosis.result import Diagnosis, Look, Place
from twintrain.diagnosis.show import as_html, show, show_catalogue, show_pitfall, show_step
from twintrain.parity.divergence import Difference

PLACE = Place(file="a.py", line=3, code="y = model(x)[0]  # [bold]")
OPEN = Look(what="epochs", compared=False, said="it was stopped", open=True)
ROW = Difference(stage="loss", tensor="loss", max_abs=1.0, max_rel=1.0, max_ulps=None)
ALL = [
    diagnosis("identical", coverage=[Look(what="steps", compared=True, said="2 of 2")]),
    diagnosis("unknown", unexplained=["x"], failures=["y"], coverage=[OPEN], phases={"z": 1.0}),
    diagnosis("unknown", ruled_out=["loss_reduction"], notes=["n"]),
    diagnosis(causes=[cause(places=[PLACE]), cause(patch=PATCH)], tables=[[ROW]]),
]


def shown(found: Diagnosis, colours: bool = False) -> str:
    system = "truecolor" if colours else None
    console = Console(file=io.StringIO(), width=110, force_terminal=colours, color_system=system)
    show(console, found)
    show_step(console, found, 1)
    if colours:
        show_catalogue(console, catalogue())
        show_pitfall(console, by_id("loss_reduction"))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("found", ALL)
def test_colours_can_be_read_on_light_and_dark_terminals(found: Diagnosis) -> None:
    codes = set(re.findall("\x1b\\[([0-9;]*)m", shown(found, True)))
    # Bold, dim, italic (titles of tables), red, magenta.
    assert {part for code in codes for part in code.split(";")} <= {"0", "1", "2", "3", "31", "35"}


def test_a_cause_shows_its_line_first_and_its_patch_instead_of_an_example() -> None:
    said = shown(diagnosis(causes=[cause(places=[PLACE])]))
    assert re.search(r"training_flag_missing.*\n│ a\.py:3: y = model\(x\)\[0\]  # \[bold\] ", said)
    assert "with tf.GradientTape() as tape:" in said
    said = shown(diagnosis(causes=[cause(patch=PATCH)]))
    assert "+y = model(x, training=True)" in said
    assert "with tf.GradientTape() as tape:" not in said


def test_a_notebook_is_light_or_dark() -> None:
    for found in ALL:
        colours = set(re.findall(r"(?<!-)color: (#\w{6})", as_html(found)))
        assert all(contrast(colour, "#ffffff") > 3.9 for colour in colours)
        assert all(contrast(colour, "#1e1e1e") > 3.9 for colour in colours)
        assert "background" not in as_html(found)


def contrast(one: str, other: str) -> float:
    """As WCAG has it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
