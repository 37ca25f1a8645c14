from __future__ import annotations

import tfx  # noqa: F401 - before tensorflow_data_validation; see components/data_gate.py

# isort: split

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components.data_gate import Finding, _reported, as_table, check_splits, summarize
from tests.conftest import DATA

RULES = tfdv.load_schema_text(str(DATA / "schema.pbtxt"))


def describe(labels: np.ndarray) -> statistics_pb2.DatasetFeatureStatisticsList:
    frame = pd.DataFrame(
        {
            "label": labels,
            "image": [b"x"] * len(labels),
            "example_id": [f"{i}" for i in range(len(labels))],
        }
    )
    return tfdv.generate_statistics_from_dataframe(frame, tfdv.StatsOptions(schema=RULES), n_jobs=1)


EVEN = np.arange(1000) % 10


def test_clean_data_passes() -> None:
    assert (
        check_splits({"train": describe(EVEN), "eval": describe(EVEN[:500])}, RULES, ["label"])
        == []
    )


def test_what_is_missing_is_counted() -> None:
    gaps = tfdv.generate_statistics_from_dataframe(
        pd.DataFrame({"town": ["a", None, "b", None], "size": [1.0, 2.0, 3.0, 4.0]})
    )
    assert summarize(gaps, "size")["missing"] == {"town": 2}


def test_counts_are_summarized() -> None:
    assert summarize(describe(EVEN), "label")["labels"] == {str(label): 100 for label in range(10)}


def test_a_missing_class_is_named() -> None:
    findings = check_splits(
        {"train": describe(EVEN), "eval": describe(EVEN[EVEN != 7])}, RULES, ["label"]
    )
    assert findings == [Finding("eval", "label", "no example of class 7")]


def test_an_empty_split_is_named() -> None:
    nothing = statistics_pb2.DatasetFeatureStatisticsList()
    nothing.datasets.add()
    assert check_splits({"train": describe(EVEN), "eval": nothing}, RULES, ["label"]) == [
        Finding("eval", "-", "the split is empty")
    ]


def test_label_drift_beyond_the_schemas_threshold_is_named() -> None:
    drifted = np.concatenate([EVEN, np.full(100, 3)])
    findings = check_splits({"train": describe(EVEN), "eval": describe(drifted)}, RULES, ["label"])
    assert [(finding.split, finding.feature) for finding in findings] == [("eval", "label")]
    assert "drift" in findings[0].problem
    slight = np.concatenate([EVEN, np.full(20, 3)])
    assert check_splits({"train": describe(EVEN), "eval": describe(slight)}, RULES, ["label"]) == []


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        (lambda frame: frame.assign(label=frame.label.where(frame.index != 5, 11)), "label"),
        (lambda frame: frame.drop(columns="image"), "image"),
        (lambda frame: frame.assign(colour=1), "colour"),
    ],
)
def test_what_the_validator_reports_is_passed_on(change: object, feature: str) -> None:
    frame = pd.DataFrame(
        {"label": EVEN, "image": [b"x"] * 1000, "example_id": [str(i) for i in range(1000)]}
    )
    stats = tfdv.generate_statistics_from_dataframe(
        change(frame), tfdv.StatsOptions(schema=RULES), n_jobs=1
    )  # type: ignore[operator]
    anomalies: anomalies_pb2.Anomalies = tfdv.validate_statistics(stats, RULES)
    (finding,) = _reported("train", anomalies)
    assert finding.feature == feature
    assert finding.problem


def test_the_table_is_aligned() -> None:
    table = as_table([Finding("train", "label", "wrong"), Finding("eval", "-", "empty")])
    columns = {
        line.index(word)
        for line, word in zip(table.splitlines(), ("problem", "wrong", "empty"), strict=True)
    }
    assert len(columns) == 1
