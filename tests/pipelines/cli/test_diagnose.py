"""`twintrain diagnose` and `twintrain pitfalls`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.conftest import REPOSITORY
from tests.turns import dealt_out
from tests.twintrain.diagnosis.watch.test_user_module import GOOD
from twintrain.diagnosis.result import Diagnosis

CASES = REPOSITORY / "tests" / "cases"
FUNCTIONS = "build_model = make_dataset = keras_fit = custom_loop = print\n"


def test_the_verdict_comes_first_and_a_step_is_shown_in_full() -> None:
    result = CliRunner().invoke(
        app, ["diagnose", str(CASES / "tf32864_dropout_off.py"), "--step", "2"]
    )
    assert result.exit_code == 4, result.output
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


@pytest.mark.in_turn(1)
def test_json_is_one_object(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(GOOD, encoding="utf-8")
    result = CliRunner().invoke(app, ["diagnose", str(path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["verdict"] == "identical"
    assert found["causes"] == []
    assert (found["max_abs_difference"], found["steps"]) == (0.0, 6)
    assert {look["what"] for look in found["coverage"]} >= {"epochs", "steps", "tf.function"}
    assert not any(look["open"] for look in found["coverage"])
    assert sum(found["phases"].values()) <= found["seconds"]


@pytest.mark.in_turn(1)
def test_code_that_raises_is_exit_code_3(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FUNCTIONS + "1 / 0", encoding="utf-8")
    result = CliRunner().invoke(app, ["diagnose", str(path)])
    assert result.exit_code == 3
    assert "ZeroDivisionError" in result.stderr
    assert "twintrain/diagnosis" not in result.stderr


def test_what_can_be_mended_is_said_before_tensorflow_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twintrain.diagnosis.worker.run", lambda *_: pytest.fail("was started"))
    path = tmp_path / "mine.py"
    path.write_text("def build_model(): ...\nfrom x import custom_loop", encoding="utf-8")
    result = CliRunner().invoke(app, ["diagnose", str(path)])
    assert result.exit_code == 2
    assert "mine.py has no function make_dataset, keras_fit." in result.stderr.replace("\n", "")
    result = CliRunner().invoke(app, ["diagnose", str(tmp_path / "none.py"), "--json"])
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert told["error"] == f"There is no file {tmp_path / 'none.py'}."
    assert told["verdict"] == "unknown"


def test_a_difference_without_a_cause_has_a_code_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"verdict": "unknown", "causes": [], "first_divergence": None, "steps": 3}
    known |= {"max_abs_difference": 0.5, "tolerance": 0.0, "unexplained": ["the loss"]}
    known |= {"ruled_out": [], "notes": [], "curve": [0.5], "tables": []}
    found = Diagnosis.model_validate(known)
    monkeypatch.setattr("twintrain.diagnosis.worker.run", lambda *_: found)
    path = tmp_path / "mine.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    assert CliRunner().invoke(app, ["diagnose", str(path)]).exit_code == 5


def test_what_was_left_open_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = {"what": "epochs", "compared": False, "said": "custom_loop was stopped", "open": True}
    known = {"verdict": "unknown", "causes": [], "first_divergence": None, "steps": 3}
    known |= {"max_abs_difference": 0.0, "tolerance": 1e-5, "unexplained": [], "ruled_out": []}
    known |= {"notes": [], "curve": [0.0], "tables": [], "coverage": [look]}
    known |= {"phases": {"watching custom_loop": 75.2}}
    found = Diagnosis.model_validate(known | {"failures": ["loss could not be read: KeyError()"]})
    monkeypatch.setattr("twintrain.diagnosis.worker.run", lambda *_: found)
    path = tmp_path / "mine.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    said = CliRunner().invoke(app, ["diagnose", str(path)]).stdout
    assert said.startswith("No difference was found, but not all could be compared.")
    assert "Not compared: epochs (custom_loop was stopped)." in said
    assert "Twintrain failed here: loss could not be read: KeyError()." in said
    assert "Time: watching custom_loop 75 s." in said


@pytest.mark.parametrize("as_json", dealt_out([True, False]))
def test_a_failure_of_our_own_has_a_code_of_its_own(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What only a fault of ours could raise there, in the process of the diagnosis itself.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text(
        "import twintrain.diagnosis.catalogue as c\n"
        "c.order = lambda *_: 1 / 0\n"
        "c.by_id = lambda *_: 1 / 0\n",
        encoding="utf-8",
    )
    path = tmp_path / "mine.py"
    path.write_text(GOOD, encoding="utf-8")
    result = CliRunner().invoke(app, ["diagnose", str(path), *(["--json"] if as_json else [])])
    assert result.exit_code == 1, result.output
    if as_json:
        told = json.loads(result.stdout)
        assert (told["verdict"], "ZeroDivisionError" in told["traceback"]) == ("unknown", True)
    else:
        assert "a fault of Twintrain" in result.stderr.replace("\n", " ")


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
