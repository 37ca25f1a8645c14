"""What only the Report component does: it counts values that training never saw."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import tensorflow as tf

from components.report import _with_unseen
from twintrain.data.example_spec import Column, ExampleSpec
from twintrain.problems.user_problem import UserProblem, problem_in

SPEC = ExampleSpec(
    inputs=(
        Column("carrier", (), "int64", 4),  # three known ones, and the code for all others
        Column("hour", (), "float32"),
        Column("words", (2,), "int64", 9),
    ),
    target=Column("target", (), "int64"),
    classes=2,
)


def problem(**said: object) -> UserProblem:
    module = ModuleType("late")
    vars(module).update({"TASK": "binary", "LABEL": "late"} | said)
    return UserProblem(problem_in(module), SPEC)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Five examples: two of a carrier that has no code of its own."""
    path = str(tmp_path / "examples.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for code in (0, 3, 1, 3, 2):
            value = tf.train.Feature(int64_list=tf.train.Int64List(value=[code]))
            example = tf.train.Example(features=tf.train.Features(feature={"carrier": value}))
            writer.write(example.SerializeToString())
    return (path,)


@pytest.mark.parametrize(
    ("missing", "expected"), [({}, {"carrier": 2}), ({"carrier": 1}, {"carrier": 1})]
)
def test_values_that_training_never_saw_are_counted(
    missing: dict[str, int], expected: dict[str, int], files: tuple[str, ...]
) -> None:
    data = {"train": {"examples": 9}, "eval": {"examples": 5, "missing": missing}}
    assert _with_unseen(data, files, problem())["eval"]["unseen"] == expected


def test_what_is_only_missing_is_not_unseen(files: tuple[str, ...]) -> None:
    data = {"train": {"examples": 9}, "eval": {"examples": 5, "missing": {"carrier": 2}}}
    assert _with_unseen(data, files, problem()) == data


def test_codes_of_a_preprocessing_of_ones_own_are_its_own(files: tuple[str, ...]) -> None:
    data = {"train": {"examples": 9}, "eval": {"examples": 5}}
    assert _with_unseen(data, files, problem(preprocessing_fn=lambda inputs: inputs)) == data
