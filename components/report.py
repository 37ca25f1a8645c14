"""Report: gathers what the run found into comparison.json and report.html."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, ModelBlessing, ModelEvaluation, ModelRun, TunerResults

from components.artifacts import ComparisonReport, DataSummary, ParityRecord, TwinAgreement, read_json
from components.evaluator import ACCURACY
from twintrain.agreement import SeedAgreement
from twintrain.divergence import LockstepResult
from twintrain.recipe import Recipe
from twintrain.records import split_files
from twintrain.report.build import INK_NAMES, Inputs, build_comparison
from twintrain.report.render import write_report


@component
def Report(  # noqa: N802 - TFX names components like classes
    data: InputArtifact[DataSummary],
    transformed_examples: InputArtifact[Examples],
    fit_run: InputArtifact[ModelRun],
    loop_run: InputArtifact[ModelRun],
    fit_trials: InputArtifact[TunerResults],
    loop_trials: InputArtifact[TunerResults],
    agreement: InputArtifact[TwinAgreement],
    parity: InputArtifact[ParityRecord],
    evaluation: InputArtifact[ModelEvaluation],
    blessing: InputArtifact[ModelBlessing],
    report: OutputArtifact[ComparisonReport],
    recipe: Parameter[str],
    code: Parameter[str],
) -> None:
    """Write comparison.json and report.html.

    `code` is not read: it keeps a result of other code from being taken for this one's.

    Raises:
        TwintrainError: the parts contradict each other; see `build_comparison`.
    """
    comparison = build_comparison(
        Inputs(
            recipe=Recipe.model_validate_json(recipe),
            fit=Path(fit_run.uri),
            loop=Path(loop_run.uri),
            trials={"fit": _trials(fit_trials.uri), "loop": _trials(loop_trials.uri)},
            agreement=[SeedAgreement.model_validate(seed) for seed in read_json(agreement)],
            lockstep=LockstepResult.model_validate(read_json(parity)),
            ink=_ink(split_files(transformed_examples.uri, "eval")),
            evaluator_accuracy=_evaluator_accuracy(evaluation.uri),
            blessed=(Path(blessing.uri) / "BLESSED").exists(),
            data=read_json(data),
        )
    )
    write_report(comparison, Path(report.uri))


def _trials(uri: str) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads((Path(uri) / "tuner_results.json").read_text(encoding="utf-8"))
    return trials


def _ink(files: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Ink bucket of each test example, int64 [n], in canonical order (by example id)."""
    features = {"ink": tf.io.FixedLenFeature([], tf.int64), "example_id": tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(1000)
    parts = [tf.io.parse_example(batch, features) for batch in records]
    ids = np.concatenate([part["example_id"].numpy().astype(np.bytes_) for part in parts])
    ink = np.concatenate([part["ink"].numpy() for part in parts])
    return ink[np.argsort(ids, kind="stable")]


def _evaluator_accuracy(uri: str) -> dict[str, dict[str, float]]:
    """Accuracy per twin and slice as TFMA measured it; the baseline's is the candidate's less the difference."""
    found: dict[str, dict[str, float]] = {"fit": {}, "loop": {}}
    for key, value, difference in _slice_metrics(uri):
        found["loop"][key] = value
        found["fit"][key] = value - difference
    return found


def _slice_metrics(uri: str) -> Iterator[tuple[str, float, float]]:
    for key, outputs in tfma.load_eval_result(uri).slicing_metrics:
        (metrics,) = (by_class[""] for by_class in outputs.values())
        name = "overall"
        if key:
            ((feature, value),) = key
            name = f"{feature}={INK_NAMES[value] if feature == 'ink' else value}"
        yield name, metrics[ACCURACY]["doubleValue"], metrics[f"{ACCURACY}_diff"]["doubleValue"]
