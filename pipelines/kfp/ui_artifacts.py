"""What the Report step leaves for Kubeflow Pipelines' own pages: the report as HTML, the headline
figures as Metrics, by which KFP compares runs, and each twin's confusion matrix.

TFX knows nothing of these outputs. They are declared when compiling, kept away from TFX's executor,
and filled from what it has written.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from kfp import dsl

from components.staging import staged
from twintrain.comparison.comparison import Comparison, Confusion

REPORT = "Report"
_REPORT_OUTPUT = "report"  # what TFX's executor writes
PAGE, FIGURES = "page", "figures"
CONFUSIONS = {"fit": "fit_confusion", "loop": "loop_confusion"}
_TYPES = {
    PAGE: dsl.HTML,
    FIGURES: dsl.Metrics,
    **dict.fromkeys(CONFUSIONS.values(), dsl.ClassificationMetrics),
}


def declare_ui_artifacts(component: dict[str, Any]) -> None:
    """Add the outputs to the Report's component of a PipelineSpec."""
    artifacts = component.setdefault("outputDefinitions", {}).setdefault("artifacts", {})
    for name, kind in _TYPES.items():
        title = {"schemaTitle": kind.schema_title, "schemaVersion": kind.schema_version}
        artifacts[name] = {"artifactType": title}


def take_ui_outputs(given: dict[str, Any]) -> dict[str, str]:
    """Take these outputs out of an ExecutorInput as JSON, changed in place; their URIs by name."""
    artifacts = given["outputs"].get("artifacts", {})
    return {
        name: str(artifacts.pop(name)["artifacts"][0]["uri"])
        for name in _TYPES
        if name in artifacts
    }


def leave_ui_artifacts(uris: dict[str, str], given: dict[str, Any]) -> None:
    """Fill the outputs from the report, and add them to the ExecutorOutput that TFX has left.

    Args:
        uris: from `take_ui_outputs`; nothing is done where there are none.
        given: the step's ExecutorInput as JSON, the report at a local path.
    """
    if not uris:
        return
    report = Path(given["outputs"]["artifacts"][_REPORT_OUTPUT]["artifacts"][0]["uri"])
    text = (report / "comparison.json").read_text(encoding="utf-8")
    comparison = Comparison.model_validate_json(text)
    page = Path(staged(uris[PAGE]))
    page.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(report / "report.html", page)
    metadata: dict[str, dict[str, Any]] = {PAGE: {}, FIGURES: figures(comparison)}
    for twin, name in CONFUSIONS.items():
        metadata[name] = _confusion(comparison.confusion, twin, comparison.label_names)
    output = Path(given["outputs"]["outputFile"])
    left = json.loads(output.read_text(encoding="utf-8"))
    for name, uri in uris.items():
        artifact = {"name": name, "uri": uri, "metadata": metadata[name]}
        left.setdefault("artifacts", {})[name] = {"artifacts": [artifact]}
    output.write_text(json.dumps(left), encoding="utf-8")


def figures(comparison: Comparison) -> dict[str, float]:
    """The headline figures: accuracies as shares of 1, gap and margin in the metric's unit (of
    accuracy, percentage points).

    Numbers alone: KFP takes no others as Metrics, and JSON has no NaN.
    """
    low, high = comparison.gap_ci95
    found = {
        "fit_score": comparison.twins["fit"].mean_score,
        "loop_score": comparison.twins["loop"].mean_score,
        "gap": comparison.gap,
        "gap_ci95_low": low,
        "gap_ci95_high": high,
        "margin": comparison.margin,
        "max_abs_weight_difference": comparison.parity.max_abs_difference,
        "disagreements": comparison.disagreement_count,
        "seeds": len(comparison.seeds),
    }
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _confusion(confusion: Confusion | None, twin: str, labels: list[str]) -> dict[str, Any]:
    """A twin's matrix, [label][choice], as KFP's SDK writes it; empty where no classes are
    chosen.
    """
    if confusion is None:
        return {}
    made = dsl.ClassificationMetrics()
    made.log_confusion_matrix(labels, getattr(confusion, twin))
    return dict(made.metadata)
