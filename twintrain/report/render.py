"""Writes a comparison as comparison.json, as one self-contained HTML page, and in Markdown."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from twintrain.comparison.comparison import Comparison
from twintrain.parsing.sealed import sealed_json
from twintrain.processes.replacing import replace_text
from twintrain.report import charts

FILES = ("comparison.json", "report.html", "summary.md", "model_card.md")
Images = Mapping[str, bytes]


def write_report(comparison: Comparison, folder: Path, images: Images | None = None) -> None:
    """Write all files into `folder`; a file of that name stands until the new one is whole.

    Args:
        comparison: what was found.
        folder: made when missing.
        images: PNG of the examples on which the twins disagree, by example id.

    A model card is written where the comparison is about a model that was exported.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notable = [
        part for part in comparison.slices[1:] if part.verdict in ("fit_better", "loop_better")
    ]
    texts = {
        "comparison.json": sealed_json(comparison),
        "report.html": render_html(comparison, images),
        "summary.md": _render("summary.md", comparison, notable=notable),
    }
    if comparison.evaluator is not None:
        texts["model_card.md"] = _render("model_card.md", comparison)
    for name, text in texts.items():
        replace_text(folder / name, text)


def render_html(comparison: Comparison, images: Images | None = None) -> str:
    """The page; every string from data or recipe is escaped."""
    shown = {
        name: f"data:image/png;base64,{base64.b64encode(png).decode()}"
        for name, png in (images or {}).items()
    }
    explained = comparison.attribution
    varied = explained is not None and any(not share.idle for share in explained.shares)
    return _render(
        "page.html",
        comparison,
        forest=charts.forest(comparison),
        parity=charts.parity(comparison),
        curves=charts.learning_curves(comparison),
        tuning=charts.tuning(comparison),
        divergence=charts.divergence(comparison),
        confusion=charts.confusion(comparison),
        waterfall=charts.waterfall(explained) if explained and varied else "",
        images=shown,
        recipe=yaml.safe_dump(comparison.recipe, sort_keys=False),
    )


def environment_of(template: str) -> Environment:
    """What a template of this folder is rendered in; in HTML, every string is escaped."""
    return Environment(
        loader=PackageLoader("twintrain", "report"),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def _render(template: str, comparison: Comparison, **parts: Any) -> str:
    environment = environment_of(template)
    names = comparison.label_names
    environment.filters["difference"] = comparison.metric.difference
    environment.filters["score"] = comparison.metric.score
    environment.filters["score_text"] = comparison.metric.score_text
    environment.filters["named"] = lambda label: names[label]
    environment.filters["plain"] = _plain
    return environment.get_template(template).render(c=comparison, **parts)


def _plain(text: str) -> str:
    """Text that Markdown takes as it stands: no tag, no table cell, no link."""
    return re.sub(r"([\\`*_\[\]|<>])", r"\\\1", " ".join(text.split()))
