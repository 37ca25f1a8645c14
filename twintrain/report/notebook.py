"""A comparison as an object, for notebooks and scripts: `twintrain.load("runs/default")`."""

from __future__ import annotations

import html
from pathlib import Path

from pydantic import ValidationError

from twintrain.attribution.result import Explanation
from twintrain.comparison.comparison import Comparison
from twintrain.comparison.consistency import faults_in
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.show import as_html
from twintrain.errors import TwintrainError, shortened
from twintrain.parsing.sealed import was_changed
from twintrain.parsing.text_files import read_text_file
from twintrain.report import charts

FILE = "comparison.json"


def load(root: str | Path) -> Comparison:
    """Read a finished comparison.

    Args:
        root: a run's root folder, its report folder, or a comparison.json.

    Raises:
        TwintrainError: there is none, or it is not one that this version reads.
    """
    given = Path(root)
    places = [given] if given.is_file() else [given / "report" / FILE, given / FILE]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise TwintrainError(
            f"{given} holds no comparison: there is neither {places[0]} nor {places[-1]}.",
            "Name the --root of a run that has ended.",
        )
    text = read_text_file(found, "The comparison", "Run it again.")
    try:
        comparison = Comparison.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TwintrainError(
            f"{found} is not a comparison of this version of Twintrain: "
            f"{shortened(where, 200)}: {shortened(first['msg'], 200)}.",
            "Run it again, or read it with the version named in it.",
        ) from error
    faults = faults_in(comparison)
    if was_changed(text):
        faults.append("its digest is of another content")
    if faults:
        raise TwintrainError(
            f"{found} does not fit together: {shortened('; '.join(faults[:3]), 400)}.",
            "It was changed after it was written: run it again.",
        )
    return comparison


def html_of(found: Comparison | Explanation | Diagnosis) -> str:
    """A result as a notebook's output cell shows it; see `twintrain.showing`."""
    if isinstance(found, Comparison):
        return _comparison(found)
    return _explanation(found) if isinstance(found, Explanation) else as_html(found)


def _comparison(comparison: Comparison) -> str:
    """Verdict, sentence, forest plot and attribution."""
    parts = [
        f"<h3>{html.escape(comparison.verdict.replace('_', ' '))}</h3>",
        f"<p>{html.escape(comparison.sentence)}</p>",
        *(f"<p><b>{html.escape(warning)}</b></p>" for warning in comparison.warnings),
        charts.forest(comparison),
    ]
    if comparison.attribution is not None:
        parts.append(_explanation(comparison.attribution))
    return "\n".join(parts)


def _explanation(explanation: Explanation) -> str:
    """Sentence and waterfall."""
    varied = any(not share.idle for share in explanation.shares)
    drawn = charts.waterfall(explanation) if varied else ""
    return f"<p>{html.escape(explanation.sentence)}</p>{drawn}"
