"""DataGate: stops the run when the data is not what the schema says, with a table a person can act
on.
"""

import tfx  # noqa: F401 - first: it stands in for a module that TFDV 1.16 asks for and tfx-bsl 1.21 lacks

# isort: split
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, Schema

from components.artifacts import DataSummary, write_json
from components.curated_schema import load_rules
from components.schema_features import class_values, feature_named
from twintrain.errors import TwintrainError
from twintrain.problems.find import statement_of
from twintrain.recipe.recipe import Recipe


class Finding(NamedTuple):
    """One thing that is wrong: in which split, with which feature, what."""

    split: str
    feature: str
    problem: str


@component
def DataGate(  # noqa: N802 - TFX names components like classes
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    anomalies: InputArtifact[ExampleAnomalies],
    summary: OutputArtifact[DataSummary],
    recipe: Parameter[str],
    code: Parameter[str],
) -> None:
    """Let the run pass only with clean data; write counts per split and label for the report.

    `recipe` names the problem, which says which columns there must be.
    `code` is not read: it keeps a result of other code from being taken for this one's.

    Raises:
        TwintrainError: there are anomalies, an empty split, a missing class, or label drift between
            the splits.
    """
    statement = statement_of(Recipe.model_validate_json(recipe))
    targets = statement.targets
    rules = load_rules(next(Path(schema.uri).glob("*.pbtxt")), statement.raw_columns, statement)
    splits = artifact_utils.decode_split_names(statistics.split_names)
    stats = {
        split: stats_artifact_utils.load_statistics(statistics, split).proto() for split in splits
    }
    findings = [
        finding
        for split in splits
        for finding in _reported(split, _load_anomalies(anomalies.uri, split))
    ]
    findings += check_splits(stats, rules, targets)
    if findings:
        raise TwintrainError(
            "The data does not pass the gate:\n" + as_table(findings),
            "Correct the data, or, where the data is right, the schema.",
        )
    classes = class_values(feature_named(rules, *targets)) if statement.task.CLASSIFIES else ()
    told = {split: _summary(proto, targets[0], classes) for split, proto in stats.items()}
    write_json(summary, told)


def check_splits(
    stats: dict[str, statistics_pb2.DatasetFeatureStatisticsList],
    rules: schema_pb2.Schema,
    targets: Sequence[str],
) -> list[Finding]:
    """What ExampleValidator does not look at: empty splits, missing classes, label drift from
    'train'.
    """
    findings: list[Finding] = []
    for split, proto in stats.items():
        if not proto.datasets[0].num_examples:
            findings.append(Finding(split, "-", "the split is empty"))
            continue
        for target in targets:
            counts = summarize(proto, target)["labels"]
            classes = class_values(feature_named(rules, target))
            missing = [str(name) for name in classes if not counts.get(str(name))]
            if missing:
                said = f"no example of class {', '.join(missing)}"
                findings.append(Finding(split, target, said))
    if not findings:
        for split in stats:
            if split != "train":
                findings += _drift(split, stats[split], stats["train"], rules)
    return findings


def _summary(
    proto: statistics_pb2.DatasetFeatureStatisticsList, target: str, classes: tuple[str | int, ...]
) -> dict[str, Any]:
    """What the report tells of a split: labels by their codes, none where targets are numbers."""
    seen = summarize(proto, target)
    told = {"examples": seen["examples"]}
    told |= {"missing": seen["missing"]} if seen["missing"] else {}
    if not classes:
        return told
    counts = {str(code): seen["labels"].get(str(name), 0) for code, name in enumerate(classes)}
    return told | {"labels": {k: n for k, n in counts.items() if n}}


def summarize(proto: statistics_pb2.DatasetFeatureStatisticsList, target: str) -> dict[str, Any]:
    """Number of examples, of examples per label, and of those that lack a column, of one split's
    statistics.
    """
    dataset = proto.datasets[0]
    labels: dict[str, int] = {}
    missing: dict[str, int] = {}
    for feature in dataset.features:
        name = "".join(feature.path.step)
        kind = feature.WhichOneof("stats")
        lacking = int(getattr(feature, kind).common_stats.num_missing) if kind else 0
        missing |= {name: lacking} if lacking else {}
        if name == target:
            labels = {
                bucket.label: int(bucket.sample_count)
                for bucket in feature.string_stats.rank_histogram.buckets
            }
    return {
        "examples": int(dataset.num_examples),
        "labels": dict(sorted(labels.items())),
        "missing": dict(sorted(missing.items())),
    }


def as_table(findings: Iterable[Finding]) -> str:
    """Findings in aligned columns."""
    rows = [Finding("split", "feature", "problem"), *findings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(
        f"  {row.split:<{widths[0]}}  {row.feature:<{widths[1]}}  {row.problem}" for row in rows
    )


def _reported(split: str, found: anomalies_pb2.Anomalies) -> list[Finding]:
    whole = found.dataset_anomaly_info.description
    findings = [Finding(split, "-", whole)] if whole else []
    for name, info in sorted(found.anomaly_info.items()):
        findings.append(
            Finding(split, name, f"{info.short_description}: {info.description}".rstrip(": "))
        )
    return findings


def _drift(
    split: str,
    stats: statistics_pb2.DatasetFeatureStatisticsList,
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    rules: schema_pb2.Schema,
) -> list[Finding]:
    only_drift = tfdv.validate_statistics(stats, rules, previous_statistics=reference)
    plain = tfdv.validate_statistics(stats, rules)
    new = {
        name: info
        for name, info in only_drift.anomaly_info.items()
        if name not in plain.anomaly_info
    }
    return [
        Finding(split, name, f"drift from 'train': {info.description}")
        for name, info in sorted(new.items())
    ]


def _load_anomalies(uri: str, split: str) -> anomalies_pb2.Anomalies:
    found = anomalies_pb2.Anomalies()
    found.ParseFromString((Path(uri) / f"Split-{split}" / "SchemaDiff.pb").read_bytes())
    return found
