"""The curated schema: what the pipeline needs of it, read without TFX or TFDV."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from twintrain.errors import TwintrainError, shortened
from twintrain.parsing.text_files import read_text_file
from twintrain.problems.statement import Statement

# More than any classifier has; each takes a row of the last layer and of every table.
MOST_LABELS = 100_000
_MOST_BYTES = 1 << 24


def load_rules(path: Path, columns: Collection[str], statement: Statement) -> schema_pb2.Schema:
    """Read a schema and see that the pipeline can work with it.

    Args:
        path: a schema in text form.
        columns: names of the features that examples must have.
        statement: names the one of them whose `int_domain` says which labels there are.

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
    missing = set(columns) - {feature.name for feature in rules.feature}
    if missing:
        raise TwintrainError(
            f"The schema {path} lacks {', '.join(sorted(missing))}.",
            "Start from data/schema.pbtxt.",
        )
    target = statement.target
    label = feature_named(rules, target)
    if not label.HasField("int_domain") or label.int_domain.min != 0 or label.int_domain.max < 1:
        raise TwintrainError(
            f"The schema {path} does not say which labels there are.",
            f"Give {target} `int_domain {{ min: 0 max: CLASSES-1 is_categorical: true }}`.",
        )
    if label.int_domain.max >= MOST_LABELS:
        raise TwintrainError(
            f"The schema {path} says there are {label.int_domain.max + 1:,} labels, more than "
            f"{MOST_LABELS:,}.",
            f"Lower `max` in the int_domain of {target}.",
        )
    return rules


def feature_named(rules: schema_pb2.Schema, name: str) -> schema_pb2.Feature:
    """The schema's feature of that name, which `load_rules` has seen to be there."""
    return next(feature for feature in rules.feature if feature.name == name)


def count_labels(rules: schema_pb2.Schema, target: str) -> int:
    """How many labels a schema that `load_rules` has read has."""
    return int(feature_named(rules, target).int_domain.max) + 1
