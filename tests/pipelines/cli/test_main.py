"""The command line as a person meets it; what needs a run is in tests/e2e."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipelines.cli.explain import parse_duration
from pipelines.cli.main import app
from pipelines.cli.progress_view import LiveView, PlainView
from pipelines.config import RunConfig
from pipelines.local.engine import foreseen
from pipelines.local.launch import Outcome, own_root
from tests.conftest import REPOSITORY, write_idx
from twintrain.errors import TwintrainError


def twintrain(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    env = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(
        command, capture_output=True, text=True, env=env, cwd=REPOSITORY, check=False, timeout=120
    )


def test_help_and_version_answer() -> None:
    assert twintrain("--version").stdout.startswith("twintrain 0.")
    shown = twintrain("run", "--help").stdout
    for word in ("--recipe", "--set", "--quick", "--root", "Examples:"):
        assert word in shown
    assert "Exit codes" in twintrain("--help").stdout


def test_recipe_is_printed_in_full() -> None:
    shown = twintrain("recipe", "--recipe", "bare", "--set", "training.epochs=10").stdout
    assert "epochs: 10" in shown
    assert "training.shuffle: false" in shown
    assert shown.startswith("# hash ")


@pytest.mark.in_turn(1)
def test_a_plan_is_made_as_a_table_and_as_json() -> None:
    shown = twintrain("power", "--gap", "0.5", "--examples", "10000").stdout
    assert "To see a gap of 0.5 points with probability 80%" in shown
    plan = json.loads(twintrain("power", "--gap", "0.5", "--examples", "10000", "--json").stdout)
    assert plan["seeds"] == {"10000": 3}
    assert twintrain("power", "--gap", "0.01").stdout.count("no number of seeds is enough") == 5


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5 h", 5400)])
def test_budgets_are_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--recipe", "bear"], "Did you mean 'bare'?"),
        (["run", "--set", "training.epoch=3"], "Did you mean 'epochs'?"),
        (["run", "--data", "/nowhere"], "The data directory /nowhere does not exist."),
        (["run", "--data", "docs"], "No file train-images* in"),
        (["run", "--root", "/proc/nothing/here"], "cannot be written"),
        (["run", "--schema", "/nowhere.pbtxt"], "cannot be read"),
        (["run", "--span", "3"], "so no span 3 either"),
        (["run", "--set", "model.name=nowhere.at_all:f"], "there is no module 'nowhere.at_all'"),
        (["explain", "--budget", "soon"], "is no length of time"),
        (["explain", "--data", "/nowhere"], "The data directory /nowhere does not exist."),
        (["explain", "--root", "/proc/nothing/here"], "cannot be written"),
        (["explain", "--span", "3"], "so no span 3 either"),
        (["explain", "--set", "model.name=json:build"], "module 'json' has no 'build'"),
        (["kubeflow", "compile", "--set", "model.name=cnn"], "no built-in model is called 'cnn'"),
        (["power", "--gap", "3", "--disagreement", "1"], "cannot be 3 points apart"),
        (["data", "fetch", "minst", "--to", "/tmp/never"], "Did you mean 'mnist'?"),
    ],
)
def test_a_wrong_word_gets_one_clear_message(
    arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    found = CliRunner().invoke(app, arguments).exception
    assert isinstance(found, TwintrainError)
    assert expected in str(found)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--recipy", "bare"], "No such option"),
        (["runn"], "No such command"),
        (["run", "--set", "model.name=cnn"], "no built-in model is called 'cnn'"),
        (["explain", "--to", "standard", "--set", "data.limit=500"], "Nothing to explain"),
    ],
)
def test_what_can_be_mended_ends_with_2(arguments: list[str], expected: str) -> None:
    done = twintrain(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--data", "/nowhere"],
        ["run", "--span", "3"],
        ["run", "--set", "model.name=json:build"],
        ["explain", "--data", "/nowhere"],
        ["kubeflow", "compile", "--set", "model.name=cnn"],
        ["diagnose", "nowhere.py"],
    ],
)
def test_the_first_answer_waits_for_nothing_heavy(arguments: list[str]) -> None:
    done = twintrain(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 2
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "pipelines" in imported
    assert not imported & {"tensorflow", "keras", "tfx", "apache_beam", "kfp", "scipy", "pandas"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A data set of one span, with a recipe beside it."""
    (tmp_path / "shop" / "span-4").mkdir(parents=True)
    write_idx(tmp_path / "shop" / "span-4", {"train": 40, "eval": 20})
    recipe = "extends: standard\nname: shop\nseeds: [7]\n"
    (tmp_path / "shop" / "recipe.yaml").write_text(recipe)
    return tmp_path / "shop"


def test_the_recipe_beside_the_data_is_taken_and_shown(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[RunConfig] = []

    def start(config: RunConfig, *_: object) -> Outcome:
        started.append(config)
        return Outcome(2, "the engine is not needed here", "", tmp_path / "log")

    monkeypatch.setattr("pipelines.local.launch.run", start)
    call = ["run", "--data", str(shop), "--root", str(tmp_path / "root")]
    done = CliRunner().invoke(app, call, env={"COLUMNS": "300"})
    assert done.exit_code == 2, done.output
    first = done.output.splitlines()[0]
    recipe = shop / "recipe.yaml"
    assert first == f"Twintrain recipe shop ({recipe}), seeds [7], data {shop}, span 4"
    done = CliRunner().invoke(app, [*call, "--recipe", "bare"], env={"COLUMNS": "300"})
    assert done.output.startswith("Twintrain recipe bare, seeds [0, 1, 2]")
    assert [config.span for config in started] == [4, 4]
    assert [config.recipe.name for config in started] == ["shop", "bare"]


def test_images_of_a_span_are_looked_at_before_anything_is_started(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.local.launch.run", lambda *_: pytest.fail("was started"))
    call = ["run", "--data", str(shop), "--root", str(tmp_path / "root")]
    found = CliRunner().invoke(app, [*call, "--set", "data.image_shape=[8,8,3]"]).exception
    assert isinstance(found, TwintrainError)
    assert "holds images of 28 x 28 x 1, the recipe expects 8 x 8 x 3" in found.problem
    found = CliRunner().invoke(app, [*call, "--span", "5"]).exception
    assert isinstance(found, TwintrainError)
    assert found.problem == f"{shop} has no span 5."


def test_a_second_run_on_the_same_root_is_turned_away(tmp_path: Path) -> None:
    with own_root(tmp_path):
        done = twintrain("run", "--root", str(tmp_path))
    assert done.returncode == 2
    assert f"Another run is using {tmp_path}" in done.stderr
    assert not (tmp_path / "metadata.sqlite").exists()


def test_the_library_command_works_without_tfx(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        "original = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'tfx' else original(name, "
        "*a)\n"
    )
    done = twintrain("run", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "TFX is not installed here" in done.stderr
    assert "`twintrain compare` compares without it" in done.stderr
    assert twintrain("recipe", PYTHONPATH=str(tmp_path)).returncode == 0


def test_a_foreseen_problem_is_found_behind_what_wraps_it() -> None:
    try:
        try:
            raise TwintrainError("the file is broken", "mend it")
        except TwintrainError as error:
            raise RuntimeError("Beam says so") from error
    except RuntimeError as error:
        found = foreseen(error)
    assert found is not None
    assert found.problem == "the file is broken"
    assert foreseen(ValueError("other")) is None


EVENTS = [
    {"event": "plan", "time": 0.0, "nodes": ["Transform", "Trainer-fit"]},
    {"event": "node_started", "time": 0.0, "node": "Transform"},
    {"event": "node_finished", "time": 1.0, "node": "Transform", "seconds": 1.0, "cached": True},
    {"event": "node_started", "time": 1.0, "node": "Trainer-fit"},
    {
        "event": "progress",
        "time": 2.0,
        "node": "Trainer-fit",
        "done": 1,
        "total": 3,
        "text": "seed 0, [epoch] 1/3",
    },
    {"event": "failed", "time": 3.0, "problem": "x", "remedy": "", "foreseen": True},
]


@pytest.mark.parametrize("kind", [LiveView, PlainView])
def test_views_show_nodes_progress_and_cache(kind: type) -> None:
    output = io.StringIO()
    with kind(Console(file=output, force_terminal=kind is LiveView, width=120)) as view:
        for event in EVENTS:
            view.take(event)
            view.tick()
    text = output.getvalue()
    assert "Trainer-fit" in text
    assert "seed 0, [epoch] 1/3" in text
    assert "cached" in text or "earlier run" in text
