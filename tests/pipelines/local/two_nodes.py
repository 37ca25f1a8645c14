"""A pipeline of two nodes, and runs of it on one root."""

import json
from pathlib import Path

import pytest
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from components.artifacts import ComparisonReport, DataSummary, read_json, write_json
from pipelines.local.runner import ProgressDagRunner
from twintrain.processes.progress import VARIABLE


@component
def First(made: OutputArtifact[DataSummary], figure: Parameter[int]) -> None:
    write_json(made, {"figure": figure})


@component
def Second(
    given: InputArtifact[DataSummary], made: OutputArtifact[ComparisonReport], fails: Parameter[int]
) -> None:
    if fails:
        raise RuntimeError("as it was told")
    write_json(made, {"figure": 2 * read_json(given)["figure"]})


class Root:
    """Runs of two nodes on one root.

    Args:
        folder: of the root.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.events = folder, folder / "events.jsonl"
        monkeypatch.setenv(VARIABLE, str(self.events))

    def run(self, figure: int = 21, fails: bool = False) -> tuple[list[bool], list[str]]:
        """Whether each node's result was taken from an earlier run, and what was told."""
        self.events.write_text("")
        first = First(figure=figure)
        pipeline = Pipeline(
            pipeline_name="two",
            pipeline_root=str(self.folder / "artifacts"),
            components=[first, Second(given=first.outputs["made"], fails=int(fails))],
            enable_cache=True,
            metadata_connection_config=metadata.sqlite_metadata_connection_config(
                str(self.folder / "metadata.sqlite")
            ),
        )
        self.runner = ProgressDagRunner()
        self.runner.run(pipeline)
        told = [json.loads(line) for line in self.events.read_text().splitlines()]
        cached = [one["cached"] for one in told if one["event"] == "node_finished"]
        return cached, [one["text"] for one in told if one["event"] == "note"]

    def file(self, node: str) -> Path:
        """What the node's newest result holds."""
        (uri,) = self.runner.outputs[node]["made"]
        (path,) = Path(uri).iterdir()
        return path
