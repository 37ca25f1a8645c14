from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tfx  # noqa: F401 - TFX before TFDV and TFMA, see pipelines/config.py

import apache_beam as beam  # isort: skip
import tensorflow_model_analysis as tfma  # isort: skip
from tensorflow_model_analysis.evaluators import (
    metrics_plots_and_validations_evaluator as evaluator,
)  # isort: skip

from components.evaluator import eval_config
from components.paired_metric import FIGURES, PREFIX, table_from
from twintrain.problems.image_classification import ImageClassification
from twintrain.recipe.sections import ComparisonRules
from twintrain.statistics.paired import paired_table

CLASSES = 3


def test_tfma_yields_the_paired_figures_for_slices_and_crosses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, ink = rng.integers(CLASSES, size=120), rng.integers(2, size=120)
    fit, loop = (rng.uniform(size=(120, CLASSES)).astype(np.float32) for _ in range(2))
    loop[5] = np.nan
    found = evaluate(labels, ink, fit, loop, (("label",), ("label", "ink")), tmp_path)
    assert set(found) == {(), *(((("label", x),)) for x in range(3))} | {
        (("ink", y), ("label", x)) for x in range(3) for y in range(2)
    }
    right = (
        fit.argmax(axis=1) == labels,
        (loop.argmax(axis=1) == labels) & ~np.isnan(loop).any(axis=1),
    )
    for key, metrics in found.items():
        chosen = np.ones(120, bool)
        for feature, value in key:
            chosen &= {"label": labels, "ink": ink}[feature] == value
        table = paired_table(right[0][chosen], right[1][chosen])
        assert table_from(metrics) == table
        assert metrics[f"{PREFIX}n"] == chosen.sum()
        assert metrics[f"{PREFIX}mcnemar_p"] == pytest.approx(table.mcnemar_p, abs=1e-9)
        assert metrics[f"{PREFIX}difference"] == pytest.approx(
            right[1][chosen].mean() - right[0][chosen].mean()
        )
        assert metrics[f"{PREFIX}low"] == pytest.approx(table.estimate().low, abs=1e-9)
        assert {f"{PREFIX}{figure}" for figure in FIGURES} <= set(metrics)


def evaluate(
    labels: np.ndarray,
    ink: np.ndarray,
    fit: np.ndarray,
    loop: np.ndarray,
    slices: tuple,
    folder: Path,
) -> dict[tuple, dict[str, float]]:
    """TFMA's own extractors and evaluator over given predictions, as the Evaluator runs them."""
    config = tfma.utils.update_eval_config_with_defaults(
        eval_config(ComparisonRules(slices=slices), ImageClassification), has_baseline=True
    )
    rows = [
        {
            tfma.LABELS_KEY: {"candidate": np.array([label]), "baseline": np.array([label])},
            tfma.PREDICTIONS_KEY: {"candidate": other, "baseline": one},
            tfma.FEATURES_KEY: {"label": np.array([label]), "ink": np.array([drop])},
        }
        for label, drop, one, other in zip(labels, ink, fit, loop, strict=True)
    ]
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        slice_keys = tfma.extractors.SliceKeyExtractor(eval_config=config)
        extracts = pipeline | beam.Create(rows) | slice_keys.stage_name >> slice_keys.ptransform
        made = extracts | evaluator.MetricsPlotsAndValidationsEvaluator(config).ptransform
        made["metrics"] | beam.Map(as_line) | beam.io.WriteToText(str(folder / "found"))
    lines = [line for path in folder.glob("found*") for line in path.read_text().splitlines()]
    return {tuple(map(tuple, key)): figures for key, figures in map(json.loads, lines)}


def as_line(found: tuple) -> str:
    key, metrics = found
    figures = {
        metric.name: float(value)
        for metric, value in metrics.items()
        if metric.name.startswith(PREFIX)
    }
    return json.dumps([[(feature, int(value)) for feature, value in key], figures])
