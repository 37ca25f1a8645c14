"""From an empty folder and a CSV file to a verdict, by the commands of docs/problems.md."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from twintrain.comparison.comparison import Comparison

pytestmark = [pytest.mark.e2e, pytest.mark.in_turn(0)]
COMMANDS = {"python": [sys.executable], "twintrain": [sys.executable, "-m", "pipelines.cli"]}


def commands() -> list[list[str]]:
    """What the tutorial has people type, in order."""
    text = (REPOSITORY / "docs" / "problems.md").read_text(encoding="utf-8")
    tutorial = text.split("## From a CSV file to a verdict")[1].split("\n## ")[0]
    (block,) = re.findall(r"```\n(.*?)```", tutorial, re.DOTALL)
    return [shlex.split(line) for line in block.strip().splitlines()]


def typed(words: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*COMMANDS[words[0]], *words[1:]],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tutorial was followed to its end."""
    folder = tmp_path_factory.mktemp("visits")
    *before, last = commands()
    for words in before:
        typed(words, folder)
    typed([*last, "--set", "data.limit=2000", "--set", "training.epochs=2"], folder)
    return folder


def test_the_twins_of_a_table_are_identical(home: Path) -> None:
    report = home / "runs" / "default" / "report"
    found = Comparison.model_validate_json((report / "comparison.json").read_text())
    assert found.verdict == "identical"
    assert found.metric.name == "mean Poisson deviance"
    assert (
        found.evaluator is not None
    )  # the exported models agree with the trainers, slice by slice
    assert set(found.evaluator.metrics) == {"poisson", "mae", "rmse"}
    assert found.evaluator.blessed
    assert found.push is not None
    assert found.push.pushed
    assert found.confusion is None
    assert len(found.slices) > 2
    assert sum(part.n for part in found.slices[1:]) % found.slices[0].n == 0
    losses = found.twins["fit"].history[0]["loss"]
    assert losses[-1] < losses[0]
    page = (report / "report.html").read_text()
    assert "mean Poisson deviance" in page
    assert "accuracy" not in page.split("The recipe in full")[0]


def test_what_was_written_is_what_is_shown(home: Path) -> None:
    assert {path.name for path in home.iterdir()} >= {
        "visits.py",
        "visits.recipe.yaml",
        "visits.schema.pbtxt",
    }


def test_a_cell_of_another_type_is_said_with_its_line(home: Path) -> None:
    lines = (home / "visits.csv").read_text().splitlines()
    cells = lines[41].split(",")
    cells[1] = "often"
    lines[41] = ",".join(cells)
    broken = home / "broken.csv"
    broken.write_text("\n".join(lines) + "\n")
    name = lines[0].split(",")[1]
    done = subprocess.run(
        [
            *COMMANDS["twintrain"],
            *("run", "--quick", "--problem", "visits.py", "--data", "broken.csv"),
            *("--schema", "visits.schema.pbtxt", "--recipe", "visits.recipe.yaml"),
        ],
        capture_output=True,
        text=True,
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
        timeout=600,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"line 42, column '{name}': 'often' is not a number" in " ".join(done.stdout.split())


def test_compare_comes_to_the_figures_of_run(home: Path) -> None:
    """It takes what `run` has prepared, on the same root, and trains by itself."""
    page = home / "runs" / "default" / "report" / "comparison.json"
    by_run = Comparison.model_validate_json(page.read_text())
    *_, last = commands()
    small = ("--set", "data.limit=2000", "--set", "training.epochs=2")
    typed([last[0], "compare", *last[2:], *small, "--root", "runs/default"], home)
    found = Comparison.model_validate_json(page.read_text())
    assert found.evaluator is None
    assert found.slices == by_run.slices
    assert found.parity.seeds == by_run.parity.seeds
    assert found.sentence == by_run.sentence


def test_rows_that_cannot_be_read_are_told_by_compare(home: Path) -> None:
    lines = (home / "visits.csv").read_text().splitlines()
    lines[41] = lines[41].replace(",", ",often,", 1)
    (home / "longer.csv").write_text("\n".join(lines) + "\n")
    small = ("--set", "data.limit=2000", "--set", "training.epochs=1", "--set", "seeds=[0]")
    given = ("--problem", "visits.py", "--data", "longer.csv", "--schema", "visits.schema.pbtxt")
    more = ("--recipe", "visits.recipe.yaml", "--set", "data.unreadable_rows=0.01")
    typed(["twintrain", "compare", "--quick", *given, *more, *small, "--root", "runs/longer"], home)
    page = home / "runs" / "longer" / "report" / "comparison.json"
    found = Comparison.model_validate_json(page.read_text())
    assert found.data["train"]["unreadable"]["rows"] == 1
    assert "longer.csv, line 42" in found.notes[0]
