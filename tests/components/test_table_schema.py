"""Schemas from a look at a table, and what becomes of each column by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.curated_schema import load_rules
from components.schema_features import class_values, feature_named
from components.table_columns import ColumnKind, plan_of, types_of
from components.table_schema import accepted, as_text, differences, schema_from
from tests.twintrain.problems.own_problems import module
from twintrain.data.table_survey import Survey, survey
from twintrain.errors import TwintrainError
from twintrain.problems.user_problem import ProblemModule, problem_in

ROWS = "town,age,month,said,late,row\n" + "".join(
    f"{'ab'[n % 2]},{'' if n % 5 == 0 else n / 2},{n % 3 + 1},some words are {n},"
    f"{['no', 'yes'][n % 3 == 0]},r{n}\n"
    for n in range(40)
)


def stated(**said: object) -> ProblemModule:
    usual: dict[str, object] = {"TASK": "binary", "LABEL": "late", "IGNORE": ("row",)}
    return problem_in(module(**(usual | said)))


@pytest.fixture
def seen(tmp_path: Path) -> Survey:
    path = tmp_path / "t.csv"
    path.write_text(ROWS)
    return survey([path])


def test_a_schema_says_types_gaps_and_classes(seen: Survey, tmp_path: Path) -> None:
    problem = stated()
    schema = schema_from(seen, problem)
    assert types_of(schema) == {
        "town": "BYTES",
        "age": "FLOAT",
        "month": "INT",
        "said": "BYTES",
        "late": "BYTES",
    }
    assert feature_named(schema, "age").presence.min_fraction == 0
    assert feature_named(schema, "town").presence.min_fraction == 1
    assert class_values(feature_named(schema, "late")) == ("no", "yes")
    path = tmp_path / "schema.pbtxt"
    path.write_text(as_text(schema, seen.rows))
    assert load_rules(path, problem.statement.raw_columns, problem.statement) == schema


def test_each_column_is_taken_as_the_problem_says(seen: Survey) -> None:
    problem = stated(CATEGORIES=("month",), TEXT=("said",), SLICES=(("late",), ("month", "age")))
    plan = plan_of(problem, text_format.MessageToString(schema_from(seen, problem)))
    assert plan.kinds == {
        "town": ColumnKind.CATEGORY,
        "age": ColumnKind.NUMBER,
        "month": ColumnKind.CATEGORY,
        "said": ColumnKind.TEXT,
    }
    assert plan.with_gaps == {"age"}
    assert plan.classes == ("no", "yes")
    assert plan.slice_keys == ("late", "month", "age")
    assert plan.kind_of("late") == ColumnKind.CATEGORY


def test_a_column_that_is_sliced_by_is_read_though_the_model_is_not_given_it(seen: Survey) -> None:
    problem = stated(IGNORE=("row", "town"), SLICES=(("town",), ("month",)))
    schema = schema_from(seen, problem)
    assert set(types_of(schema)) == {"town", "age", "month", "said", "late"}
    plan = plan_of(problem, text_format.MessageToString(schema))
    assert "town" not in plan.kinds
    assert plan.sliced == {"town": ColumnKind.CATEGORY}
    # Of a schema that was made before it was sliced by.
    before = text_format.MessageToString(schema_from(seen, stated(IGNORE=("row", "town"))))
    with pytest.raises(TwintrainError, match=r"'town', which the schema does not read"):
        plan_of(problem, before)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"LABEL": "lat"}, "no column 'lat'"),
        ({"LABEL": "age"}, "of 40 rows have no 'age'"),
        ({"TASK": "regression"}, "holds text ('no')"),
        ({"CATEGORIES": ("moth",)}, "no column 'moth'"),
    ],
)
def test_a_problem_that_does_not_fit_the_data_is_said(
    said: dict[str, object], expected: str, seen: Survey
) -> None:
    with pytest.raises(TwintrainError) as error:
        schema_from(seen, stated(**said))
    assert expected in error.value.problem


@pytest.mark.parametrize(
    ("column", "task", "expected"),
    [
        ([1.5, 2.5] * 10, "classification", "numbers with fractions"),
        ([3] * 20, "binary", "in every row: there is nothing to learn"),
        ([1, 3] * 10, "binary", "2 is not among them"),
    ],
)
def test_labels_that_cannot_be_classes_are_said(
    column: list[float], task: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,late\n" + "".join(f"{n},{value}\n" for n, value in enumerate(column)))
    with pytest.raises(TwintrainError) as error:
        schema_from(survey([path]), stated(TASK=task, IGNORE=()))
    assert expected in error.value.problem


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"TEXT": ("month",)}, "takes 'month' for text"),
        ({"CATEGORIES": ("age",)}, "takes 'age' for a category"),
        ({"IGNORE": ("town", "age", "month", "said", "row")}, "no column to learn from"),
        ({"IGNORE": ("rwo",)}, "names the column 'rwo'"),
    ],
)
def test_a_problem_that_does_not_fit_the_schema_is_said(
    said: dict[str, object], expected: str, seen: Survey
) -> None:
    schema = text_format.MessageToString(schema_from(seen, stated()))
    with pytest.raises(TwintrainError) as error:
        plan_of(stated(**said), schema)
    assert expected in error.value.problem


def test_a_binary_task_has_two_classes(seen: Survey, tmp_path: Path) -> None:
    schema = schema_from(seen, stated())
    feature_named(schema, "late").string_domain.value.append("maybe")
    path = tmp_path / "schema.pbtxt"
    path.write_text(text_format.MessageToString(schema))
    problem = stated()
    with pytest.raises(TwintrainError, match="3 classes of late, and the task is binary"):
        load_rules(path, (), problem.statement)


def test_a_change_of_the_data_is_told_column_by_column(seen: Survey, tmp_path: Path) -> None:
    before = schema_from(seen, stated())
    path = tmp_path / "t.csv"
    path.write_text(
        "town,age,month,late,row,new\n"
        + "".join(f",1,{n / 2},{['no', 'off'][n % 2]},r{n},1\n" for n in range(1, 30))
    )
    other = survey([path])
    assert differences(before, before) == []
    after = schema_pb2.Schema()
    after.CopyFrom(schema_from(other, stated()))
    assert differences(before, after) == [
        "said: not in the data",
        "town: missing in some rows, and the schema wants it in all",
        "month: FLOAT in the data, INT in the schema",
        "late: has off, which the schema does not name",
        "new: not in the schema",
    ]


def test_what_is_accepted_is_no_difference_any_more_and_the_rest_stays(
    seen: Survey, tmp_path: Path
) -> None:
    """A class that is new, a gap that is new, fractions, a column gone and one that came."""
    rules = schema_from(seen, stated())
    feature_named(rules, "age").presence.min_fraction = 0.5  # by hand
    feature_named(rules, "late").drift_comparator.infinity_norm.threshold = 0.3
    path = tmp_path / "new.csv"
    path.write_text("town,age,month,late,row,size\n")
    with path.open("a") as file:
        for n in range(30):
            town, late = "ab"[n % 2] if n % 7 else "", ["no", "perhaps"][n % 2]
            file.write(f"{town},{n / 2},{n + 0.5},{late},r{n},{n}\n")
    found = schema_from(survey([path]), stated(TASK="classification"))
    assert len(differences(rules, found)) == 5
    made = accepted(rules, found)
    assert differences(made, found) == []
    assert accepted(made, found) == made
    assert class_values(feature_named(made, "late")) == ("no", "yes", "perhaps")
    drift = feature_named(made, "late").drift_comparator.infinity_norm.threshold
    assert drift == pytest.approx(0.3)
    assert feature_named(made, "month").type == schema_pb2.FLOAT
    assert feature_named(made, "row").lifecycle_stage == schema_pb2.DEPRECATED
    assert [feature.name for feature in made.feature][-1] == "size"
    assert "said" not in {feature.name for feature in made.feature}
    assert accepted(rules, schema_from(seen, stated())).feature == rules.feature


def test_a_type_is_never_narrowed_and_limits_stay(seen: Survey, tmp_path: Path) -> None:
    """A text that happens to hold digits stays text; limits of what becomes a number stay."""
    rules = schema_from(seen, stated())
    month = feature_named(rules, "month")
    month.int_domain.min, month.int_domain.max = 1, 12
    path = tmp_path / "new.csv"
    path.write_text("town,age,month,said,late,row\n")
    with path.open("a") as file:
        for n in range(30):
            file.write(f"{n % 9},{n / 2},{n % 12 + 0.5},words,{['no', 'yes'][n % 2]},r{n}\n")
    found = schema_from(survey([path]), stated())
    assert feature_named(found, "town").type == schema_pb2.INT
    made = accepted(rules, found)
    assert feature_named(made, "town").type == schema_pb2.BYTES
    month = feature_named(made, "month")
    assert month.type == schema_pb2.FLOAT
    assert (month.float_domain.min, month.float_domain.max) == (1, 12)
    assert differences(made, found) == []
    assert differences(made, schema_from(seen, stated())) == []


def test_each_of_several_labels_is_0_or_1(tmp_path: Path) -> None:
    path, problem = tmp_path / "t.csv", stated(TASK="multilabel", LABEL=("wet", "cold"), IGNORE=())
    path.write_text("age,wet,cold\n" + "".join(f"{n},{n % 2},{int(n > 3)}\n" for n in range(9)))
    schema = schema_from(survey([path]), problem)
    assert [class_values(feature_named(schema, name)) for name in ("wet", "cold")] == [(0, 1)] * 2
    rules = tmp_path / "schema.pbtxt"
    rules.write_text(as_text(schema, 9))
    assert load_rules(rules, problem.statement.raw_columns, problem.statement) == schema
    plan = plan_of(problem, text_format.MessageToString(schema))
    assert (set(plan.kinds), plan.labels, plan.classes) == ({"age"}, ("wet", "cold"), ())
    feature_named(schema, "cold").int_domain.max = 2
    rules.write_text(as_text(schema, 9))
    with pytest.raises(TwintrainError, match="does not say of cold that it is 0 or 1"):
        load_rules(rules, problem.statement.raw_columns, problem.statement)


@pytest.mark.parametrize("values", ["12", "01-", "00", "ab", "0.5"])
def test_a_label_that_is_not_0_or_1_is_said(values: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    cells = ["0.5", "1.0"] if values == "0.5" else [cell.strip("-") for cell in values]
    path.write_text(
        "age,wet,cold\n" + "".join(f"{n},{n % 2},{cell}\n" for n, cell in enumerate(cells))
    )
    problem = stated(TASK="multilabel", LABEL=("wet", "cold"), IGNORE=())
    with pytest.raises(TwintrainError, match="'cold'"):
        schema_from(survey([path]), problem)
