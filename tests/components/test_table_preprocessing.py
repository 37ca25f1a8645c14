"""What Transform makes of columns, over real rows and by its own analyzers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tfx  # noqa: F401 - TFX before TFT, see pipelines/config.py
from google.protobuf import text_format

from components.table_preprocessing import preprocessing_fn
from components.table_schema import schema_from
from components.transformed import example_spec
from tests.twintrain.problems.own_problems import module
from twintrain.data.example_spec import ExampleSpec
from twintrain.data.table_survey import survey
from twintrain.errors import TwintrainError
from twintrain.problems.user_problem import problem_in
from twintrain.recipe.files import load_recipe

import tensorflow_transform as tft  # isort: skip
import tensorflow_transform.beam as tft_beam  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io  # isort: skip

TOWNS = ["Bern", "Ulm", "Bern", None, "Bern", "Ulm", "Graz", "Bern"]
AGES = [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0]
SAID = ["a b b", "B, c!", "", "a", "b b b b b b", "c a", "b", "a b"]
LATE = ["no", "yes", "no", "no", "yes", "no", "yes", "no"]
COUNTS = [1.5, 2.0, None, 0.0, 1.0, 1.0, 3.0, 1.0]
ROWS = [
    {"town": town, "age": age, "said": said, "late": late, "counts": counts, "row": n}
    for n, (town, age, said, late, counts) in enumerate(
        zip(TOWNS, AGES, SAID, LATE, COUNTS, strict=True)
    )
]
NEW = {"town": "Rom", "age": 100.0, "said": "zz", "late": "yes", "counts": 1.0}


def statement() -> ModuleType:
    return module(
        "stated_for_transform",
        TASK="binary",
        LABEL="late",
        TEXT=("said",),
        LENGTH=4,
        WORDS=2,
        IGNORE=("row",),
        WEIGHT="counts",
        SLICES=(("town",), ("age",), ("said",)),
    )


@pytest.fixture
def stated() -> Iterator[ModuleType]:
    made = statement()
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


@dataclass(frozen=True)
class Transformed:
    """The rows after Transform, others by what Transform learned of these, and what it leaves."""

    rows: dict[str, np.ndarray]
    new: dict[str, np.ndarray]
    spec: ExampleSpec


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Transformed:
    """By what is usual for each column; Beam takes seconds for it."""
    made, folder = statement(), tmp_path_factory.mktemp("transform")
    sys.modules[made.__name__] = made
    try:
        rows, new = transformed(made, folder, [NEW])
        recipe = load_recipe("standard", [f"problem.module={made.__name__}"])
        return Transformed(rows, new, example_spec(str(folder / "graph"), recipe))
    finally:
        del sys.modules[made.__name__]


def transformed(
    stated: ModuleType,
    folder: Path,
    unseen: list[dict[str, Any]],
    given: list[dict[str, Any]] = ROWS,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The rows after Transform, and others, by what Transform learned of these."""
    table = folder / "t.csv"
    names = list(given[0])
    cell = {None: ""}
    lines = (",".join(f'"{cell.get(row[name], row[name])}"' for name in names) for row in given)
    table.write_text(",".join(names) + "\n" + "\n".join(lines) + "\n")
    schema = schema_from(survey([table]), problem_in(stated))
    raw = dataset_metadata.DatasetMetadata(schema)
    config = {"problem": stated.__name__, "schema": text_format.MessageToString(schema)}
    rows = [_raw(row, number) for number, row in enumerate(given)]
    with tft_beam.Context(temp_dir=str(folder / "tmp")):
        (made, metadata), graph = (rows, raw) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: preprocessing_fn(inputs, config)
        )
        graph | tft_beam.WriteTransformFn(str(folder / "graph"))
        metadata_io.write_metadata(raw, str(folder / "graph" / "metadata"))
        others = [_raw(row, number) for number, row in enumerate(unseen)]
        new = (((others, raw), graph) | tft_beam.TransformDataset())[0] if unseen else []
    del metadata
    return _columns(made), _columns(new)


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _raw(row: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"example_id": [b"%03d" % number]}
    for name, value in row.items():
        if name != "row":
            found[name] = (
                [] if value in (None, "") else [value.encode() if isinstance(value, str) else value]
            )
    return found


@pytest.mark.in_turn(4)
def test_every_column_becomes_dense_as_it_is_usual(usual: Transformed) -> None:
    found = usual.rows
    known = np.array([age for age in AGES if age is not None])
    expected = [0.0 if age is None else (age - known.mean()) / known.std() for age in AGES]
    np.testing.assert_allclose(found["age"], expected, atol=1e-5)
    assert found["age_missing"].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert found["town"].tolist() == [0, 1, 0, 3, 0, 1, 2, 0]  # 3: missing or unknown
    assert found["target"].tolist() == [0, 1, 0, 0, 1, 0, 1, 0]
    # b is the most frequent word (1), then a (2); 3 is for all others, 0 where a text has ended.
    assert found["said"].tolist() == [
        [2, 1, 1, 0],
        [1, 3, 0, 0],
        [3, 0, 0, 0],
        [2, 0, 0, 0],
        [1, 1, 1, 1],
        [3, 2, 0, 0],
        [1, 0, 0, 0],
        [2, 1, 0, 0],
    ]


def test_how_many_codes_there_are_is_told(usual: Transformed) -> None:
    assert [(column.name, column.shape, column.size) for column in usual.spec.inputs] == [
        ("age", (), None),
        ("age_missing", (), None),
        ("said", (4,), 4),
        ("town", (), 4),
    ]
    spec = usual.spec
    assert (spec.classes, spec.class_names, spec.target.name) == (2, ("no", "yes"), "target")


def test_weights_pass_as_they_stand_and_are_no_input(usual: Transformed) -> None:
    expected = [np.nan if one is None else one for one in COUNTS]
    np.testing.assert_array_equal(usual.rows["example_weight"], expected)
    assert usual.spec.weighted


def test_slices_are_categories_and_quarters(usual: Transformed) -> None:
    found = usual.rows
    assert found["slice_of_town"].tolist() == [
        *(b"Bern", b"Ulm", b"Bern", b"missing", b"Bern", b"Ulm", b"Graz", b"Bern")
    ]
    ages = dict(zip(AGES, found["slice_of_age"].tolist(), strict=True))
    assert ages[None] == b"missing"
    assert len(set(ages.values())) == 5
    for age, name in ages.items():
        if age is not None:
            assert low_of(name) <= age < high_of(name), (age, name)
    assert {text.rsplit(b" ", 1)[1] for text in found["slice_of_said"].tolist()} == {b"words"}


def low_of(name: bytes) -> float:
    """Where 'below 3', '3 to below 5' or '5 or more' begins."""
    return -np.inf if name.startswith(b"below") else float(name.split()[0])


def high_of(name: bytes) -> float:
    return np.inf if name.endswith(b"or more") else float(name.split()[-1])


def test_what_was_not_seen_has_a_code_of_its_own(usual: Transformed) -> None:
    assert usual.new["town"].tolist() == [3]
    assert usual.new["said"].tolist() == [[3, 0, 0, 0]]
    assert usual.new["slice_of_town"].tolist() == [b"Rom"]


@pytest.mark.in_turn(4)
def test_ones_own_preprocessing_makes_the_inputs(stated: ModuleType, tmp_path: Path) -> None:
    def own(inputs: dict[str, Any]) -> dict[str, Any]:
        assert set(inputs) == {"town", "age", "said"}
        ages = tf.sparse.to_dense(inputs["age"], 0.0)
        old = tf.cast(tf.reshape(ages, [-1]) > 4, tf.float32)
        return {"old": old, "scaled": tf.reshape(ages / tft.max(ages), [-1, 1])}

    stated.preprocessing_fn = own
    found, _ = transformed(stated, tmp_path, [])
    assert found["old"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert found["scaled"].max() == 1
    assert {"target", "example_id", "slice_of_town"} < set(found)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (lambda inputs: inputs["age"], "returns SparseTensor"),
        (lambda inputs: {"age": inputs["age"]}, "leaves 'age' sparse"),
        (lambda inputs: {"target": tf.constant([1.0])}, "a name that is taken"),
    ],
)
def test_preprocessing_that_cannot_be_used_is_said(
    stated: ModuleType, returns: Any, expected: str, tmp_path: Path
) -> None:
    stated.preprocessing_fn = returns
    with pytest.raises(TwintrainError, match=expected):
        transformed(stated, tmp_path, [])


@pytest.mark.in_turn(4)
def test_several_labels_become_one_target(tmp_path: Path, stated: ModuleType) -> None:
    stated.TASK, stated.LABEL, stated.SLICES = "multilabel", ("late", "wet"), (("wet",),)
    del stated.WEIGHT, stated.TEXT
    stated.IGNORE = ("row", "said", "counts", "town")
    wet = [1, 0, 0, 1, 0, 1, 1, 0]
    late = [int(one == "yes") for one in LATE]
    rows = [row | {"late": one, "wet": two} for row, one, two in zip(ROWS, late, wet, strict=True)]
    found, _ = transformed(stated, tmp_path, [], rows)
    assert found["target"].tolist() == [list(pair) for pair in zip(late, wet, strict=True)]
    assert found["slice_of_wet"].tolist() == [str(one).encode() for one in wet]
    recipe = load_recipe("standard", [f"problem.module={stated.__name__}"])
    made = example_spec(str(tmp_path / "graph"), recipe)
    assert (made.target.shape, made.target.dtype, made.classes) == ((2,), "int64", None)
    assert [column.name for column in made.inputs] == ["age", "age_missing"]
