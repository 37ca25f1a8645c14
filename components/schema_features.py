"""What a feature of a schema says."""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import schema_pb2

# More than any classifier has; each takes a row of the last layer and of every table.
MOST_LABELS = 100_000


def feature_named(rules: schema_pb2.Schema, name: str) -> schema_pb2.Feature:
    """The schema's feature of that name.

    Raises:
        StopIteration: there is none.
    """
    return next(feature for feature in rules.feature if feature.name == name)


def class_values(label: schema_pb2.Feature) -> tuple[str | int, ...]:
    """The values a schema gives a label, in the order of their codes; empty where it names none."""
    if label.HasField("string_domain"):
        return tuple(label.string_domain.value)
    if label.HasField("int_domain"):
        domain = label.int_domain
        if domain.max - domain.min >= MOST_LABELS:
            return tuple(range(domain.min, domain.min + MOST_LABELS + 1))
        return tuple(range(domain.min, domain.max + 1))
    return ()
