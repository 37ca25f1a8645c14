"""Where examples come from, whatever form they have there."""

from __future__ import annotations

from typing import Protocol

from twintrain.data.example_spec import ExampleSpec
from twintrain.data.example_store import ExampleStore


class DataSource(Protocol):
    """Transformed records (`tfrecord_source.TransformedData`), IDX files (`idx_source.IdxData`)."""

    @property
    def spec(self) -> ExampleSpec:
        """The columns of an example."""

    def store(self, split: str, memory_limit_mb: int) -> ExampleStore:
        """All examples of a split ('train', 'eval'), in canonical order."""
