"""Artifact types of our own: each is a directory with one JSON file, named beside it.

Kubeflow Pipelines allows no longer names than `word.Word`; pipelines.kfp.entrypoint turns them into
import paths.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.types import artifact


class DataSummary(artifact.Artifact):
    """What DataGate let pass: examples and labels per split."""

    TYPE_NAME = "twintrain.DataSummary"
    FILE = "data.json"


class TwinAgreement(artifact.Artifact):
    """Whether the twins consumed the same batches and ended with the same weights."""

    TYPE_NAME = "twintrain.TwinAgreement"
    FILE = "agreement.json"


class OverlapRecord(artifact.Artifact):
    """What the test split has in common with the training split, and the digest of what is to be
    trained on.
    """

    TYPE_NAME = "twintrain.OverlapRecord"
    FILE = "overlap.json"


class ParityRecord(artifact.Artifact):
    """What the first steps of the twins, side by side, showed."""

    TYPE_NAME = "twintrain.ParityRecord"
    FILE = "parity.json"


class AttributionRecord(artifact.Artifact):
    """Which practice is worth how many points."""

    TYPE_NAME = "twintrain.AttributionRecord"
    FILE = "attribution.json"


class ComparisonReport(artifact.Artifact):
    """comparison.json, report.html, summary.md and model_card.md."""

    TYPE_NAME = "twintrain.ComparisonReport"
    FILE = "comparison.json"


class TrendEntry(artifact.Artifact):
    """This span's record, and where it is kept."""

    TYPE_NAME = "twintrain.TrendEntry"
    FILE = "entry.json"


_Record = (
    DataSummary | TwinAgreement | OverlapRecord | ParityRecord | AttributionRecord | TrendEntry
)


def write_json(target: _Record, content: Any) -> None:
    """Write the artifact's JSON file."""
    folder = Path(target.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / target.FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_json(source: _Record) -> Any:
    """Read the artifact's JSON file."""
    return json.loads((Path(source.uri) / source.FILE).read_text(encoding="utf-8"))
