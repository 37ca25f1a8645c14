from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp import dsl
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentSpec, ExecutorOutput

from components import staging
from pipelines.kfp.ui_artifacts import (
    CONFUSIONS,
    FIGURES,
    PAGE,
    declare_ui_artifacts,
    figures,
    leave_ui_artifacts,
    take_ui_outputs,
)
from tests.twintrain.comparison.records import inputs
from twintrain.comparison.build import build_comparison
from twintrain.comparison.comparison import Comparison
from twintrain.recipe.files import load_recipe
from twintrain.report.render import write_report

HOME = "minio://mlpipeline/v2/Report/3f2a"


@pytest.fixture
def made(tmp_path: Path) -> Comparison:
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard")))
    write_report(comparison, tmp_path / "report")
    return comparison


def executor_input(tmp_path: Path, names: list[str]) -> dict[str, Any]:
    artifacts = {name: {"artifacts": [{"uri": f"{HOME}/{name}"}]} for name in names}
    artifacts["report"] = {"artifacts": [{"uri": str(tmp_path / "report")}]}
    (tmp_path / "output.json").write_text('{"artifacts": {"report": {"artifacts": [{}]}}}')
    return {"outputs": {"artifacts": artifacts, "outputFile": str(tmp_path / "output.json")}}


def left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> dict[str, dict[str, Any]]:
    """What the step leaves, by output, as KFP's launcher parses it."""
    monkeypatch.setitem(staging.FOLDERS, "minio://", f"{tmp_path}/minio/")
    given = executor_input(tmp_path, names)
    taken = take_ui_outputs(given)
    assert set(given["outputs"]["artifacts"]) == {"report"}  # all that TFX's executor sees
    leave_ui_artifacts(taken, given)
    text = (tmp_path / "output.json").read_text()
    artifacts = json_format.MessageToDict(json_format.Parse(text, ExecutorOutput()))["artifacts"]
    return {name: lists["artifacts"][0] for name, lists in artifacts.items()}


def test_the_page_the_figures_and_the_matrices_are_left(
    made: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = left(tmp_path, monkeypatch, [PAGE, FIGURES, *CONFUSIONS.values()])
    page = tmp_path / "minio" / HOME.removeprefix("minio://") / PAGE
    assert page.read_bytes() == (tmp_path / "report" / "report.html").read_bytes()
    assert found[PAGE]["uri"] == f"{HOME}/{PAGE}"
    assert found[FIGURES]["metadata"] == figures(made)
    assert found[FIGURES]["metadata"]["gap"] == made.gap
    assert made.confusion is not None
    for twin, name in CONFUSIONS.items():
        matrix = found[name]["metadata"]["confusionMatrix"]
        rows = [[int(value) for value in row["row"]] for row in matrix["rows"]]
        assert rows == getattr(made.confusion, twin)
        assert [one["displayName"] for one in matrix["annotationSpecs"]] == made.label_names
    assert "report" in found


def test_where_no_classes_are_chosen_there_is_no_matrix(
    made: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = made.model_copy(update={"confusion": None, "gap": float("nan")})
    assert "gap" not in figures(bare)
    write_report(made.model_copy(update={"confusion": None}), tmp_path / "report")
    found = left(tmp_path, monkeypatch, [PAGE, FIGURES, *CONFUSIONS.values()])
    assert not any(found[name].get("metadata") for name in CONFUSIONS.values())


def test_other_steps_are_left_alone(tmp_path: Path) -> None:
    given = executor_input(tmp_path, [])
    assert take_ui_outputs(given) == {}
    leave_ui_artifacts({}, given)  # reads no report: there is none
    assert json.loads((tmp_path / "output.json").read_text())["artifacts"].keys() == {"report"}


def test_they_are_declared_as_kfps_own_kinds() -> None:
    component: dict[str, Any] = {"executorLabel": "exec-report"}
    declare_ui_artifacts(component)
    json_format.ParseDict(component, ComponentSpec())
    titles = {
        name: one["artifactType"]["schemaTitle"]
        for name, one in component["outputDefinitions"]["artifacts"].items()
    }
    matrices = dict.fromkeys(CONFUSIONS.values(), dsl.ClassificationMetrics.schema_title)
    assert titles == {PAGE: "system.HTML", FIGURES: "system.Metrics", **matrices}
