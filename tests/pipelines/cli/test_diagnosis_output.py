"""What `twintrain diagnose` prints and writes, of a diagnosis made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.pipelines.cli.test_diagnose import FUNCTIONS
from tests.twintrain.diagnosis.diagnoses import PATCH, cause, diagnosis
from twintrain.diagnosis.result import Place
from twintrain.diagnosis.worker import CodeFailedError

FOUND = diagnosis(
    causes=[cause(places=[Place(file="mine.py", line=3, code="y = model(x)")], patch=PATCH)]
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("twintrain.diagnosis.worker.run", lambda *_: FOUND)
    path = tmp_path / "mine.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return path


def told(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["diagnose", *map(str, arguments)])


def test_json_has_lines_and_patch_by_either_name(module: Path) -> None:
    for option in (["--json"], ["--format", "json"], ["--json", "--format", "json"]):
        (found,) = json.loads(told(module, *option).stdout)["causes"]
        assert found["places"] == [{"file": "mine.py", "line": 3, "code": "y = model(x)"}]
        assert found["patch"] == PATCH


def test_github_gets_commands_and_nothing_else(module: Path) -> None:
    result = told(module, "--format", "github")
    assert result.exit_code == 4
    (line,) = result.stdout.splitlines()
    assert line.startswith("::error file=mine.py,line=3,title=")


def test_github_hears_of_a_failure_too(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise CodeFailedError("custom_loop raised.", "", "Traceback\nZeroDivisionError")

    monkeypatch.setattr("twintrain.diagnosis.worker.run", run)
    result = told(module, "--format", "github")
    assert result.exit_code == 3
    assert result.stdout == "::error title=custom_loop raised.::Traceback%0AZeroDivisionError\n"
    assert "ZeroDivisionError" in result.stderr


def test_json_and_github_exclude_each_other(module: Path) -> None:
    result = told(module, "--json", "--format", "github")
    assert result.exit_code == 2
    assert "exclude" in result.stderr


def test_a_page_is_written_beside_what_is_printed(module: Path) -> None:
    page = module.with_name("page.html")
    result = told(module, "--html", page)
    assert result.exit_code == 4
    assert "mine.py:3: y = model(x)" in result.stdout
    assert "diagnosis of mine.py" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("where", ["", "none/page.html", "closed/page.html"])
def test_a_page_that_cannot_be_written_is_told_first(
    where: str, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twintrain.diagnosis.worker.run", lambda *_: pytest.fail("was started"))
    (module.parent / "closed").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: "closed" not in str(path))
    result = told(module, "--html", module.parent / where)
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_what_was_found_is_told_also_where_the_page_fails_in_the_end(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("twintrain.report.diagnosis_page.write_diagnosis", write)
    result = told(module, "--html", module.with_name("page.html"))
    assert result.exit_code == 2
    assert "training_flag_missing" in result.stdout
    assert "No space left on device" in result.stderr
