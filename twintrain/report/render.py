"""Writes a comparison as comparison.json and as one self-contained HTML page."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from twintrain.report import charts
from twintrain.report.comparison import Comparison

FILES = ("comparison.json", "report.html")


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write both files into `folder`; a file of that name stands until the new one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = (comparison.model_dump_json(indent=1), render_html(comparison))
    for name, text in zip(FILES, texts, strict=True):
        write_whole(folder / name, text)


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, never half of it."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(partial, 0o644)
    os.replace(partial, path)


def render_html(comparison: Comparison) -> str:
    """The page; every string from data or recipe is escaped."""
    environment = Environment(
        loader=PackageLoader("twintrain", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["points"] = lambda value: f"{value:+.2f}"
    environment.filters["percent"] = lambda value: f"{100 * value:.2f}"
    return environment.get_template("page.html").render(
        c=comparison,
        forest=charts.forest(comparison),
        curves=charts.learning_curves(comparison),
        tuning=charts.tuning(comparison),
        divergence=charts.divergence(comparison),
        recipe=yaml.safe_dump(comparison.recipe, sort_keys=False),
    )
