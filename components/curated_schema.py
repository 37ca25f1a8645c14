"""The curated schema: what the pipeline needs of it, read without TFX or TFDV."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_features import MOST_LABELS, class_values, feature_named
from twintrain.errors import TwintrainError, did_you_mean, shortened
from twintrain.parsing.text_files import read_text_file
from twintrain.problems.statement import IMAGES, Statement

_MOST_BYTES = 1 << 24


def load_rules(path: Path, columns: Collection[str], statement: Statement) -> schema_pb2.Schema:
    """Read a schema and see that the pipeline can work with it.

    Args:
        path: a schema in text form.
        columns: names of the features that examples must have.
        statement: of the problem; names the target.

    Raises:
        TwintrainError: it cannot be read, is not a schema in text form, or lacks what the pipeline
            is built on.
    """
    text = read_text_file(path, "The schema", "Name one with --schema.", _MOST_BYTES)
    try:
        rules = text_format.Parse(text, schema_pb2.Schema())
    # Texts in it that are not UTF-8 are told by some of protobuf's implementations as they are.
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        said = shortened(" ".join(str(error).split()), 300)
        raise TwintrainError(
            f"The schema {path} is not a schema in text form: {said}.", "Mend it there."
        ) from error
    there = {feature.name for feature in rules.feature}
    missing = set(columns) - there
    if missing:
        name = min(missing)
        remedy = "Start from data/schema.pbtxt."
        if statement != IMAGES:
            remedy = f"{did_you_mean(name, there)} `twintrain schema infer` makes a new one."
        raise TwintrainError(f"The schema {path} lacks {', '.join(sorted(missing))}.", remedy)
    for label in (feature_named(rules, target) for target in statement.targets):
        _see_label(path, label, statement)
    return rules


def _see_label(path: Path, label: schema_pb2.Feature, statement: Statement) -> None:
    """See that the schema takes a label for what the task does."""
    if statement == IMAGES:
        _see_numbered(path, label)
    elif label.presence.min_fraction < 1:
        raise TwintrainError(
            f"The schema {path} says that {label.name}, which is predicted, may be missing.",
            "Give it `presence { min_fraction: 1.0 min_count: 1 }`; leave out rows without it.",
        )
    elif statement.task.SEVERAL:
        if label.type != schema_pb2.INT or class_values(label) != (0, 1):
            raise TwintrainError(
                f"The schema {path} does not say of {label.name} that it is 0 or 1, and the task "
                f"is {statement.task.NAME}.",
                "Give it `type: INT` and `int_domain { min: 0 max: 1 is_categorical: true }`.",
            )
    elif statement.task.CLASSIFIES:
        _see_classes(path, label, statement)
    elif label.type not in (schema_pb2.INT, schema_pb2.FLOAT):
        raise TwintrainError(
            f"The schema {path} says that {label.name} is no number, and the task is "
            f"{statement.task.NAME}.",
            "Choose another LABEL or TASK in the problem's file.",
        )


def _see_numbered(path: Path, label: schema_pb2.Feature) -> None:
    """See that labels are 0 to classes - 1."""
    if not label.HasField("int_domain") or label.int_domain.min != 0 or label.int_domain.max < 1:
        raise TwintrainError(
            f"The schema {path} does not say which labels there are.",
            f"Give {label.name} `int_domain {{ min: 0 max: CLASSES-1 is_categorical: true }}`.",
        )
    if label.int_domain.max >= MOST_LABELS:
        raise TwintrainError(
            f"The schema {path} says there are {label.int_domain.max + 1:,} labels, more than "
            f"{MOST_LABELS:,}.",
            f"Lower `max` in the int_domain of {label.name}.",
        )


def _see_classes(path: Path, label: schema_pb2.Feature, statement: Statement) -> None:
    """See that the schema says which classes there are, and that the task can have so many."""
    classes = class_values(label)
    if len(classes) < 2:
        raise TwintrainError(
            f"The schema {path} says of {label.name} that it has {len(classes) or 'no'} class"
            f"{'' if len(classes) == 1 else 'es'}; two are needed.",
            "Give it an int_domain or a string_domain, or choose another LABEL.",
        )
    if len(classes) > MOST_LABELS:
        raise TwintrainError(
            f"The schema {path} says there are {len(classes):,} classes of {label.name}.",
            "Is it a number? TASK = 'regression' predicts one.",
        )
    if statement.task.NAME == "binary" and len(classes) != 2:
        raise TwintrainError(
            f"The schema {path} says there are {len(classes)} classes of {label.name}, and the "
            "task is binary.",
            "TASK = 'classification' takes any number.",
        )


def count_labels(rules: schema_pb2.Schema, target: str) -> int:
    """How many labels a schema that `load_rules` has read has."""
    return len(class_values(feature_named(rules, target)))
