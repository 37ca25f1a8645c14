"""A comparison as an object, for notebooks and scripts: `twintrain.load("runs/default")`."""

from __future__ import annotations

import html
from pathlib import Path

from pydantic import ValidationError

from twintrain.attribution.result import Explanation
from twintrain.comparison.comparison import Comparison
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.show import as_html
from twintrain.errors import TwintrainError
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
    try:
        return Comparison.model_validate_json(found.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        first = (
            error.errors()[0]
            if isinstance(error, ValidationError)
            else {"loc": (), "msg": str(error)}
        )
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TwintrainError(
            f"{found} is not a comparison of this version of Twintrain: {where}: {first['msg']}.",
            "Run it again, or read it with the version named in it.",
        ) from error


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
