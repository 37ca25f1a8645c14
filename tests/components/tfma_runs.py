"""TFMA's own extractors and evaluator over given predictions, as the Evaluator runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tfx  # noqa: F401 - TFX before TFDV and TFMA, see pipelines/config.py

import apache_beam as beam  # isort: skip
import tensorflow_model_analysis as tfma  # isort: skip
from tensorflow_model_analysis.evaluators import (
    metrics_plots_and_validations_evaluator as evaluator,
)  # isort: skip

SliceKey = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Evaluated:
    """What TFMA has found.

    Attributes:
        figures: by slice, then by (model, metric); a figure of both models is the candidate's.
        blessed: every threshold was met.
    """

    figures: dict[SliceKey, dict[tuple[str, str], float]]
    blessed: bool

    def figure(self, key: SliceKey, metric: str, model: str) -> float:
        return self.figures[key][model, metric]


def evaluate(
    config: tfma.EvalConfig,
    labels: np.ndarray,
    features: Mapping[str, np.ndarray],
    fit: np.ndarray,
    loop: np.ndarray,
    folder: Path,
) -> Evaluated:
    """Evaluate predictions of a baseline (`fit`) and a candidate (`loop`).

    Args:
        config: as the Evaluator is given it.
        labels: int64 [n], or [n, labels] of several.
        features: what slices are made by, each int64 [n].
        fit: float32 [n, classes].
        loop: float32 [n, classes].
        folder: for Beam's output; `tfma` in it is what the Evaluator leaves.
    """
    config = tfma.utils.update_eval_config_with_defaults(config, has_baseline=True)
    rows = [
        {
            tfma.LABELS_KEY: dict.fromkeys(("candidate", "baseline"), np.atleast_1d(label)),
            tfma.PREDICTIONS_KEY: {"candidate": other, "baseline": one},
            tfma.FEATURES_KEY: {name: np.array([of[row]]) for name, of in features.items()},
        }
        for row, (label, one, other) in enumerate(zip(labels, fit, loop, strict=True))
    ]
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        slice_keys = tfma.extractors.SliceKeyExtractor(eval_config=config)
        extracts = pipeline | beam.Create(rows) | slice_keys.stage_name >> slice_keys.ptransform
        made = extracts | evaluator.MetricsPlotsAndValidationsEvaluator(config).ptransform
        _keep(made["metrics"] | "ToLine" >> beam.Map(_as_line), folder / "figures")
        answers = made["validations"] | beam.Map(lambda one: json.dumps(one.validation_ok))
        _keep(answers, folder / "validations")
        made | tfma.WriteResults(tfma.default_writers(str(folder / "tfma"), eval_config=config))
    figures = {
        tuple(map(tuple, key)): {(model, name): value for model, name, value in found}
        for key, found in _kept(folder, "figures")
    }
    return Evaluated(figures, all(_kept(folder, "validations")))


def _keep(lines: beam.PCollection, place: Path) -> None:
    lines | f"Write {place.name}" >> beam.io.WriteToText(str(place))


def _kept(folder: Path, name: str) -> list:
    files = folder.glob(f"{name}-*")
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def _as_line(found: tuple) -> str:
    key, metrics = found
    figures = [
        (metric.model_name, metric.name, float(np.asarray(value).item()))
        for metric, value in metrics.items()
        if not metric.is_diff or metric.name.startswith("paired_")
    ]
    return json.dumps([[(feature, int(value)) for feature, value in key], figures])
