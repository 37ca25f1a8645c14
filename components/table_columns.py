"""What each column of a table is taken for: by the problem's module, and by the schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_features import class_values, feature_named
from twintrain.data.example_spec import EXAMPLE_ID, TARGET, WEIGHT
from twintrain.errors import TwintrainError, did_you_mean
from twintrain.problems.user_problem import SLICE, ProblemModule

MISSING_SUFFIX = "_missing"
_TAKEN = (TARGET, WEIGHT, EXAMPLE_ID)
_TYPES = {schema_pb2.INT: "INT", schema_pb2.FLOAT: "FLOAT", schema_pb2.BYTES: "BYTES"}


class ColumnKind(Enum):
    """How a column is taken."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"


@dataclass(frozen=True)
class TablePlan:
    """What becomes of each column.

    Attributes:
        kinds: per column that the model may learn from, how it is taken.
        with_gaps: numbers that may be missing.
        labels: the column that is predicted, or those of several labels.
        classes: its values, in the order of their codes; empty where it is a number.
        slice_keys: columns that test examples are sliced by.
        sliced: how those of them are taken that the model does not learn from.
        words, length: of texts.
        weight: the column that says how much a row counts in training; None where all count alike.
    """

    kinds: dict[str, ColumnKind]
    with_gaps: frozenset[str]
    labels: tuple[str, ...]
    classes: tuple[str | int, ...]
    slice_keys: tuple[str, ...]
    sliced: dict[str, ColumnKind]
    words: int
    length: int
    weight: str | None

    def kind_of(self, name: str) -> ColumnKind:
        """How a column is taken."""
        return self.kinds[name] if name in self.kinds else self.sliced[name]


def types_of(rules: schema_pb2.Schema) -> dict[str, str]:
    """The type of each raw column, as `twintrain.data.tables` wants it; the id is no column of a
    file.
    """
    return {
        feature.name: _TYPES[feature.type]
        for feature in rules.feature
        if feature.name != EXAMPLE_ID and feature.lifecycle_stage != schema_pb2.DEPRECATED
    }


def plan_of(stated: ProblemModule, schema: str) -> TablePlan:
    """What becomes of the columns of a schema in text form.

    Raises:
        TwintrainError: the module names a column that the schema lacks, or takes one for what it
            cannot be.
    """
    rules = text_format.Parse(schema, schema_pb2.Schema())
    types, columns = types_of(rules), stated.columns
    known = {feature.name for feature in rules.feature}
    left = known - {*types, EXAMPLE_ID}
    for name in (*columns.named, *columns.ignore):
        if name in left and name not in columns.unread:
            raise TwintrainError(
                f"The problem {stated.name} names the column {name!r}, which the schema does not "
                "read (DEPRECATED).",
                "Make the schema anew (twintrain schema infer --force), or take that line out.",
            )
        if name not in known:
            raise TwintrainError(
                f"The problem {stated.name} names the column {name!r}, which the schema lacks.",
                did_you_mean(name, known),
            )
    if columns.weight is not None and types[columns.weight] == "BYTES":
        raise TwintrainError(
            f"The problem {stated.name} weighs rows by {columns.weight!r}, which the schema takes "
            "for text.",
            "WEIGHT names a column of numbers.",
        )
    left_out = {*columns.labels, columns.key, columns.weight, *columns.ignore}
    kinds = {name: _kind(stated, name, types[name]) for name in types if name not in left_out}
    taken = [name for name in kinds if name in _TAKEN or name.startswith(SLICE)]
    if taken and "preprocessing_fn" not in stated.functions:
        raise TwintrainError(
            f"A column is called {taken[0]!r}, a name that preprocessing gives to what it makes.",
            "Call the column otherwise, or leave it out with IGNORE.",
        )
    if not kinds:
        raise TwintrainError(
            f"The problem {stated.name} leaves no column to learn from.", "Shorten IGNORE."
        )
    keys = stated.statement.slice_keys
    classes = stated.statement.task.CLASSIFIES
    return TablePlan(
        kinds=kinds,
        with_gaps=frozenset(
            name for name in kinds if feature_named(rules, name).presence.min_fraction < 1
        ),
        labels=columns.labels,
        classes=class_values(feature_named(rules, *columns.labels)) if classes else (),
        slice_keys=keys,
        sliced={key: _kind(stated, key, types[key]) for key in keys if key not in kinds},
        words=columns.words,
        length=columns.length,
        weight=columns.weight,
    )


def _kind(stated: ProblemModule, name: str, type_: str) -> ColumnKind:
    columns = stated.columns
    if name in columns.text:
        if type_ != "BYTES":
            raise TwintrainError(
                f"The problem {stated.name} takes {name!r} for text, and the schema for numbers.",
                "Take it out of TEXT.",
            )
        return ColumnKind.TEXT
    if type_ == "BYTES" or name in columns.categories:
        if type_ == "FLOAT":
            raise TwintrainError(
                f"The problem {stated.name} takes {name!r} for a category, and the schema for "
                "numbers with fractions.",
                "Take it out of CATEGORIES, or make it an INT in the schema.",
            )
        return ColumnKind.CATEGORY
    # A class that is sliced by is a category, whatever it is written as.
    task = stated.statement.task
    if name in columns.labels and (task.CLASSIFIES or task.SEVERAL):
        return ColumnKind.CATEGORY
    return ColumnKind.NUMBER
