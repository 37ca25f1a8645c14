"""A schema from a look at a table: types, gaps, and the label's classes."""

from __future__ import annotations

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_features import class_values
from twintrain.data.example_spec import EXAMPLE_ID
from twintrain.data.table_survey import Survey, SurveyedColumn
from twintrain.errors import TwintrainError, did_you_mean
from twintrain.problems.user_problem import ProblemModule

_TYPES = {"INT": schema_pb2.INT, "FLOAT": schema_pb2.FLOAT, "BYTES": schema_pb2.BYTES}
# Largest difference of any class's share between the splits, or spans, that is no drift.
DRIFT = 0.1
_HEAD = """# What the pipeline accepts, as a look at {rows:,} rows found it. Edit it by hand: every run is held to it.
# A column that is DEPRECATED is not read. `presence` says in how many rows a column must have a value.
"""  # noqa: E501 - a line of the file


def schema_from(survey: Survey, stated: ProblemModule) -> schema_pb2.Schema:
    """The schema of a table for a problem.

    Raises:
        TwintrainError: the label is not there, or has gaps, or classes it cannot have.
    """
    columns = stated.columns
    for name in columns.named:
        if name not in survey.columns:
            raise TwintrainError(
                f"The data has no column {name!r}, which the problem {stated.name} names.",
                did_you_mean(name, survey.columns),
            )
    schema = schema_pb2.Schema()
    for name, column in survey.columns.items():
        feature = schema.feature.add(name=name, type=_TYPES[column.kind])
        if name in columns.unread:
            feature.lifecycle_stage = schema_pb2.DEPRECATED
            continue
        feature.value_count.min = feature.value_count.max = 1
        if not column.missing:
            feature.presence.min_fraction = 1.0
            feature.presence.min_count = 1
        if name in columns.labels:
            _see_label(column, survey, stated)
            if stated.statement.task.CLASSIFIES or stated.statement.task.SEVERAL:
                _give_classes(feature, column)
    identity = schema.feature.add(name=EXAMPLE_ID, type=schema_pb2.BYTES)
    identity.value_count.min = identity.value_count.max = 1
    identity.presence.min_fraction = 1.0
    identity.presence.min_count = 1
    return schema


def as_text(schema: schema_pb2.Schema, rows: int) -> str:
    """The schema as it is written into a file."""
    return _HEAD.format(rows=rows) + text_format.MessageToString(schema)


def _see_label(column: SurveyedColumn, survey: Survey, stated: ProblemModule) -> None:
    if column.missing:
        count = round(column.missing * survey.rows)
        raise TwintrainError(
            f"{count:,} of {survey.rows:,} rows have no {column.name!r}, which is to be predicted.",
            "Leave these rows out of the data.",
        )
    task = stated.statement.task
    if task.SEVERAL:
        _see_zero_or_one(column, task.NAME)
    elif task.CLASSIFIES:
        if column.kind == "FLOAT":
            raise TwintrainError(
                f"{column.name!r} holds numbers with fractions, and the task is {task.NAME}.",
                "TASK = 'regression' predicts a number.",
            )
        if column.distinct < 2:
            raise TwintrainError(
                f"{column.name!r} is {column.values[0]!r} in every row: there is nothing to learn.",
                "Choose another LABEL, or more data.",
            )
        if not column.values:
            raise TwintrainError(
                f"{column.name!r} has {column.distinct:,} different values, too many for classes.",
                "TASK = 'regression' predicts a number.",
            )
    elif column.kind == "BYTES":
        raise TwintrainError(
            f"{column.name!r} holds text ({column.values[0]!r}), and the task is {task.NAME}.",
            "TASK = 'classification' predicts one of several texts.",
        )


def _see_zero_or_one(column: SurveyedColumn, task: str) -> None:
    if column.kind != "INT" or column.values != (0, 1):
        shown = ", ".join(map(repr, column.values[:3])) or f"{column.distinct:,} values"
        raise TwintrainError(
            f"{column.name!r} holds {shown}. Each label of the task {task} is 0 in some rows and 1 "
            "in others.",
            "Write 1 where a row has the label, 0 where not; leave out one that all rows have.",
        )


def _give_classes(feature: schema_pb2.Feature, column: SurveyedColumn) -> None:
    if column.kind == "INT":
        low, high = column.values[0], column.values[-1]
        if high - low + 1 != column.distinct:
            missing = next(n for n in range(low, high) if n not in column.values)
            raise TwintrainError(
                f"The classes of {column.name!r} go from {low} to {high}, and {missing} is not "
                "among them.",
                "Write classes as texts, or number them without a gap.",
            )
        feature.int_domain.min, feature.int_domain.max = low, high
        feature.int_domain.is_categorical = True
    else:
        feature.string_domain.value.extend(column.values)
    feature.drift_comparator.infinity_norm.threshold = DRIFT


def differences(rules: schema_pb2.Schema, found: schema_pb2.Schema) -> list[str]:
    """In what a table is not what a schema says, a line for each column."""
    wanted = {feature.name: feature for feature in rules.feature}
    there = {feature.name: feature for feature in found.feature}
    lines = [f"{name}: not in the data" for name in wanted if name not in there]
    for name, feature in there.items():
        if name not in wanted:
            lines.append(f"{name}: not in the schema")
        elif wanted[name].lifecycle_stage != schema_pb2.DEPRECATED:
            lines += [f"{name}: {what}" for what in _differs(wanted[name], feature)]
    return lines


def accepted(rules: schema_pb2.Schema, found: schema_pb2.Schema) -> schema_pb2.Schema:
    """The schema made as much wider as it must be for a table to be what it says.

    Columns get the table's type where theirs does not hold it, may be missing where they are, and
    get the classes that are new; columns that are new are added, and those that are gone removed.
    Everything else stays: limits (but of what becomes text), columns that are not read, classes
    that the table lacks.

    Args:
        rules: the schema.
        found: what `schema_from` makes of the table.
    """
    there = {feature.name: feature for feature in found.feature}
    made = schema_pb2.Schema()
    made.CopyFrom(rules)
    del made.feature[:]
    for wanted in rules.feature:
        if wanted.name not in there:
            continue
        feature = made.feature.add()
        feature.CopyFrom(wanted)
        if wanted.lifecycle_stage != schema_pb2.DEPRECATED:
            _widen(feature, there[wanted.name])
    known = {feature.name for feature in rules.feature}
    made.feature.extend(feature for name, feature in there.items() if name not in known)
    return made


def _widen(feature: schema_pb2.Feature, found: schema_pb2.Feature) -> None:
    if _WIDTH.index(feature.type) < _WIDTH.index(found.type):
        _retype(feature, found.type)
    if feature.presence.min_fraction == 1 and found.presence.min_fraction < 1:
        feature.ClearField("presence")
    if found.HasField("int_domain") and feature.type == schema_pb2.INT:
        if not feature.HasField("int_domain"):
            feature.int_domain.CopyFrom(found.int_domain)
        feature.int_domain.min = min(feature.int_domain.min, found.int_domain.min)
        feature.int_domain.max = max(feature.int_domain.max, found.int_domain.max)
    elif found.HasField("string_domain"):
        known = set(feature.string_domain.value)
        new = [value for value in found.string_domain.value if value not in known]
        feature.string_domain.value.extend(new)


def _retype(feature: schema_pb2.Feature, wider: int) -> None:
    """Give a column a wider type. Limits of whole numbers are then limits of numbers; a text has
    none.
    """
    limits = feature.int_domain if feature.HasField("int_domain") else None
    if wider == schema_pb2.FLOAT and limits is not None and not limits.is_categorical:
        low, high = limits.min, limits.max  # gone with the other member of the oneof
        feature.float_domain.min, feature.float_domain.max = low, high
    elif (domain := feature.WhichOneof("domain_info")) is not None:
        feature.ClearField(domain)
    feature.type = wider


def _differs(wanted: schema_pb2.Feature, feature: schema_pb2.Feature) -> list[str]:
    names = {number: name for name, number in _TYPES.items()}
    found = []
    if _WIDTH.index(wanted.type) < _WIDTH.index(feature.type):
        found.append(f"{names[feature.type]} in the data, {names.get(wanted.type)} in the schema")
    if wanted.presence.min_fraction == 1 and feature.presence.min_fraction < 1:
        found.append("missing in some rows, and the schema wants it in all")
    classes = set(class_values(wanted))
    if classes:
        new = sorted(map(str, set(class_values(feature)) - classes))
        if new:
            found.append(f"has {', '.join(new[:5])}, which the schema does not name")
    return found


# Whole numbers are numbers, and both can be read as text.
_WIDTH = (schema_pb2.INT, schema_pb2.FLOAT, schema_pb2.BYTES)
