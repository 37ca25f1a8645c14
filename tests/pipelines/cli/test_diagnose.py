"""`twintrain diagnose` and `twintrain pitfalls`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.conftest import REPOSITORY
from tests.twintrain.diagnosis.watch.test_user_module import GOOD

CASES = REPOSITORY / "tests" / "cases"


def test_the_verdict_comes_first_and_a_step_is_shown_in_full() -> None:
    result = CliRunner().invoke(
        app, ["diagnose", str(CASES / "tf32864_dropout_off.py"), "--step", "2"]
    )
    assert result.exit_code == 1, result.output
    assert result.stdout.startswith("custom_loop calls the model without training=True.")
    for part in (
        "First seen in: forward output, step 1",
        "replayed",
        "Fix: Pass training=True",
        "issues/32864",
        "Step 2",
    ):
        assert part in result.stdout
    assert "watching custom_loop" in result.stderr


def test_json_is_one_object(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(GOOD, encoding="utf-8")
    result = CliRunner().invoke(app, ["diagnose", str(path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["verdict"] == "identical"
    assert found["causes"] == []
    assert (found["max_abs_difference"], found["steps"]) == (0.0, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [("def build_model(): ...", "has no function make_dataset"), ("1 / 0", "ZeroDivisionError")],
)
def test_code_that_cannot_be_run_is_exit_code_3(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["diagnose", str(path)])
    assert result.exit_code == 3
    assert message in result.stderr
    assert "twintrain/diagnosis" not in result.stderr


def test_the_catalogue_is_listed_and_explained() -> None:
    listed = CliRunner().invoke(app, ["pitfalls"])
    assert listed.exit_code == 0
    assert "training_flag_missing" in listed.stdout
    explained = CliRunner().invoke(app, ["pitfalls", "loss_reduction"])
    assert "compute_average_loss" in explained.stdout
    (entry,) = json.loads(
        CliRunner().invoke(app, ["pitfalls", "metrics_not_reset", "--json"]).stdout
    )
    assert entry["links"] == ["https://github.com/tensorflow/tensorflow/issues/35533"]
