"""Report: gathers what the run found into comparison.json, the page, a summary and a model card."""

import json
import math
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import (
    Examples,
    ModelBlessing,
    ModelEvaluation,
    ModelRun,
    TransformGraph,
    TunerResults,
)

from components.artifacts import (
    AttributionRecord,
    ComparisonReport,
    DataSummary,
    OverlapRecord,
    ParityRecord,
    TwinAgreement,
    read_json,
)
from components.evaluator import BASELINE, CANDIDATE
from components.leak_check import OVERLAP, TARGET_LEAKS
from components.paired_metric import PREFIX, counted
from components.push_gate import FILE
from components.table_example_gen import rows_left_out
from components.transformed import transformed_data
from twintrain.attribution.result import Explanation
from twintrain.comparison.build import FromPipeline, Inputs, build_comparison
from twintrain.comparison.comparison import Counted
from twintrain.comparison.push_decision import PushDecision
from twintrain.comparison.slices import slice_name
from twintrain.data.overlap import Overlap, with_overlap
from twintrain.data.table_unreadable import as_told
from twintrain.data.target_leak import TargetLeak, with_target_leaks
from twintrain.data.tfrecord_source import split_files
from twintrain.parity.divergence import LockstepResult
from twintrain.parity.run_agreement import SeedAgreement
from twintrain.problems.find import find_problem
from twintrain.problems.problem import Problem
from twintrain.problems.user_problem import UserProblem
from twintrain.recipe.recipe import Recipe
from twintrain.report.render import write_report


@component
def Report(  # noqa: N802 - TFX names components like classes
    data: InputArtifact[DataSummary],
    overlap: InputArtifact[OverlapRecord],
    examples: InputArtifact[Examples],
    transformed_examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    fit_run: InputArtifact[ModelRun],
    loop_run: InputArtifact[ModelRun],
    fit_trials: InputArtifact[TunerResults],
    loop_trials: InputArtifact[TunerResults],
    agreement: InputArtifact[TwinAgreement],
    parity: InputArtifact[ParityRecord],
    evaluation: InputArtifact[ModelEvaluation],
    blessing: InputArtifact[ModelBlessing],
    decision: InputArtifact[ModelBlessing],
    report: OutputArtifact[ComparisonReport],
    recipe: Parameter[str],
    code: Parameter[str],
    attribution: InputArtifact[AttributionRecord] = None,  # type: ignore[assignment]
) -> None:
    """Write comparison.json, report.html, summary.md and model_card.md.

    `code` is not read: it keeps a result of other code from being taken for this one's.

    Raises:
        TwintrainError: the parts contradict each other; see `build_comparison`.
    """
    wanted = Recipe.model_validate_json(recipe)
    transformed = transformed_data(transformed_examples.uri, transform_graph.uri, wanted)
    files = transformed.files["eval"]
    problem = find_problem(wanted, transformed.spec)
    stated = problem.statement
    told = _with_what_was_looked_for(read_json(data), read_json(overlap))
    comparison = build_comparison(
        Inputs(
            recipe=wanted,
            problem=problem,
            records={"fit": Path(fit_run.uri), "loop": Path(loop_run.uri)},
            agreement=[SeedAgreement.model_validate(seed) for seed in read_json(agreement)],
            slice_values=transformed.slice_values(stated.slice_columns, bool(stated.sliced)),
            data=_with_left_out(_with_unseen(told, files, problem), examples.uri),
            trials={"fit": _trials(fit_trials.uri), "loop": _trials(loop_trials.uri)},
            lockstep=LockstepResult.model_validate(read_json(parity)),
            pipeline=FromPipeline(
                evaluator=evaluator_counts(evaluation.uri, wanted, problem),
                metrics=_evaluator_metrics(evaluation.uri, problem),
                blessed=(Path(blessing.uri) / "BLESSED").exists(),
                push=PushDecision.model_validate_json(
                    (Path(decision.uri) / FILE).read_text(encoding="utf-8")
                ),
            ),
            attribution=Explanation.model_validate(read_json(attribution)) if attribution else None,
        )
    )
    shown = {example.example_id for example in comparison.disagreements}
    images = {}
    if wanted.problem.module is None:
        images = _images(split_files(examples.uri, "eval"), shown, wanted.data.image_shape)
    write_report(comparison, Path(report.uri), images)


def _trials(uri: str) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads(
        (Path(uri) / "tuner_results.json").read_text(encoding="utf-8")
    )
    return trials


def _with_what_was_looked_for(data: dict[str, Any], looked: dict[str, Any]) -> dict[str, Any]:
    """What is told of each split, with what LeakCheck found."""
    shared = Overlap.model_validate(looked[OVERLAP])
    leaks = [TargetLeak.model_validate(leak) for leak in looked[TARGET_LEAKS]]
    return with_target_leaks(with_overlap(data, shared), leaks)


def _with_unseen(data: dict[str, Any], files: tuple[str, ...], problem: Problem) -> dict[str, Any]:
    """How many test examples have, in which column, a value that training never saw.

    The usual preprocessing gives them the last code, which they share with what is missing.
    """
    if not isinstance(problem, UserProblem) or "preprocessing_fn" in problem.stated.functions:
        return data
    codes = {
        column.name: column.size - 1
        for column in problem.spec.inputs
        if column.size is not None and not column.shape
    }
    features = {name: tf.io.FixedLenFeature([], tf.int64) for name in codes}
    counts = dict.fromkeys(codes, 0)
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(1000)
    for batch in records if codes else ():
        for name, values in tf.io.parse_example(batch, features).items():
            counts[name] += int((values.numpy() == codes[name]).sum())
    missing = data["eval"].get("missing", {})
    unseen = {name: count - missing.get(name, 0) for name, count in counts.items()}
    found = {name: count for name, count in unseen.items() if count > 0}
    return data | {"eval": data["eval"] | ({"unseen": found} if found else {})}


def _with_left_out(data: dict[str, Any], examples: str) -> dict[str, Any]:
    """How many rows were left out because they cannot be read, and the first of them."""
    told = as_told(rows_left_out(examples))
    if told is None:
        return data
    return data | {"train": data["train"] | {"unreadable": told}}


def evaluator_counts(uri: str, recipe: Recipe, problem: Problem) -> dict[str, Counted]:
    """Per slice, what TFMA's paired metric counted."""
    found = {}
    for key, outputs in tfma.load_eval_result(uri).slicing_metrics:
        (metrics,) = (by_class[""] for by_class in outputs.values())
        # TFMA adds the suffix to every metric that looks at two models.
        figures = (
            (name.removesuffix("_diff"), value)
            for name, value in metrics.items()
            if name.startswith(PREFIX)
        )
        values = {name: _number(value) for name, value in figures}
        of = counted(values)
        if not math.isnan(of.fit_score):  # of some examples there is no such figure
            found[slice_name(recipe, problem, _slice_key(key, problem))] = Counted(**of._asdict())
    return found


def _slice_key(key: tuple[tuple[str, Any], ...], problem: Problem) -> dict[str, Any]:
    """A slice's features and values as TFMA has them, by slice key."""
    sliced = problem.statement.sliced
    return {
        column.removeprefix(sliced): value.decode() if isinstance(value, bytes) else value
        for column, value in key
    }


def _evaluator_metrics(uri: str, problem: Problem) -> dict[str, tuple[float, float]]:
    """Every metric of the problem over all test examples: of fit, and of the loop."""
    fit, loop = (
        tfma.load_eval_result(uri, model_name=model).get_metrics_for_slice()
        for model in (BASELINE, CANDIDATE)
    )
    names = [metric.name for metric in problem.metrics()]
    return {name: (_number(fit[name]), _number(loop[name])) for name in names}


def _number(value: dict[str, Any]) -> float:
    """A figure as TFMA loads it: by the JSON form of its protocol buffer, in which NaN and infinity
    are texts.
    """
    return float(value["doubleValue"])


def _images(
    files: tuple[str, ...], wanted: set[str], shape: tuple[int, int, int]
) -> dict[str, bytes]:
    """Some raw images as PNG, by example id."""
    found: dict[str, bytes] = {}
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "example_id": tf.io.FixedLenFeature([], tf.string),
    }
    for record in tf.data.TFRecordDataset(list(files), compression_type="GZIP") if wanted else ():
        parsed = tf.io.parse_single_example(record, features)
        name = parsed["example_id"].numpy().decode(errors="replace")
        if name in wanted:
            pixels = tf.reshape(tf.io.decode_raw(parsed["image"], tf.uint8), shape)
            found[name] = tf.io.encode_png(pixels).numpy()
    return found
