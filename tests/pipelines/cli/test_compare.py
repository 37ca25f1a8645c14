"""`twintrain compare`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.conftest import DATA
from twintrain.comparison.comparison import Comparison
from twintrain.errors import TwintrainError

SMALL = ("--set", "data.limit=300", "--set", "training.epochs=1", "--quick")


def test_a_comparison_leaves_a_report_and_what_it_trained(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compare", *SMALL, "--root", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "are the same: on " in result.stdout
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "are the same: on " in page
    found = Comparison.model_validate_json(
        (tmp_path / "report" / "comparison.json").read_text(encoding="utf-8")
    )
    assert (found.verdict, found.parity.max_abs_difference) == ("identical", 0)
    assert found.data["train"]["examples"] < 300

    again = CliRunner().invoke(app, ["compare", *SMALL, "--root", str(tmp_path), "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["slices"] == json.loads(found.model_dump_json())["slices"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--data", "/nowhere"], "/nowhere does not exist"),
        (["--recipe", "nope"], "No recipe called 'nope'"),
        (["--set", "model.name=nope"], "no built-in model is called 'nope'"),
        (["--set", "data.image_shape=[8,8,1]"], "28"),
        (["--set", "comparison.label_names=[a,b,c]"], "3 names, the data has 10 labels"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    wrong: list[str], message: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    result = CliRunner().invoke(app, ["compare", *SMALL, *wrong, "--root", str(root)])
    assert isinstance(result.exception, TwintrainError)
    assert message in str(result.exception)
    assert not (root / "report").exists()


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    for path in DATA.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    bad = tmp_path / "train-images-idx3-ubyte.gz"
    bad.write_bytes(bad.read_bytes()[:1000])
    result = CliRunner().invoke(
        app, ["compare", "--data", str(tmp_path), "--root", str(tmp_path / "root")]
    )
    assert isinstance(result.exception, TwintrainError)
    assert str(bad) in str(result.exception)
