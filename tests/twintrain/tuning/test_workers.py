from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.twintrain.tuning.idle_workers import leave_at_once, sleep_for_ever
from tests.twintrain.tuning.test_search import DATA, OVERRIDES
from twintrain.problems.image_models import mlp
from twintrain.processes.worker_group import WorkerGroup
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.tuning.search import TuningJob, TuningResult, search, search_step
from twintrain.tuning.workers import Search, help_search, run_workers

SMALL = [*OVERRIDES, "tuning.epochs=1", "model.name=mlp"]
_calls = 0


def dying_model(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """The built-in MLP; the first worker dies as it begins its first trial, as if its machine
    were gone.
    """
    global _calls
    _calls += 1
    if os.environ.get("KERASTUNER_TUNER_ID") == "worker-0" and _calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return mlp(recipe, input_shape, classes)


def shared_model(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """The built-in MLP; the worker in a step of its own makes one trial, and dies as it begins its
    second. The chief's own worker waits for that in its first.
    """
    global _calls
    _calls += 1  # two for the space, and two in each trial
    begun = Path(os.environ["TWINTRAIN_TEST_FOLDER"]) / "begun"
    name = os.environ.get("KERASTUNER_TUNER_ID")
    if name == "worker-of-step-1" and _calls == 5:
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    deadline = time.monotonic() + 120
    while name == "worker-0" and _calls == 3 and not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return mlp(recipe, input_shape, classes)


def run(folder: Path, *overrides: str) -> TuningResult:
    return search(TuningJob("loop", load_recipe("standard", [*SMALL, *overrides]), DATA, folder))


def trials(result: TuningResult) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in trial.items() if key != "seconds"} for trial in result.trials
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> TuningResult:
    return run(tmp_path_factory.mktemp("alone"))


@pytest.mark.in_turn(3)
def test_two_workers_make_the_trials_of_one(alone: TuningResult, tmp_path: Path) -> None:
    together = run(tmp_path, "tuning.workers=2")
    assert trials(together) == trials(alone)
    assert together.best == alone.best


@pytest.mark.in_turn(3)
def test_a_worker_that_dies_costs_no_trial(alone: TuningResult, tmp_path: Path) -> None:
    model = f"model.name={__name__}:dying_model"
    assert trials(run(tmp_path, "tuning.workers=2", model)) == trials(alone)


def test_workers_that_do_nothing_are_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    ended = run_workers(Search(sleep_for_ever, tmp_path, 3, stall_seconds=3), 2, print)
    assert ended == [-signal.SIGKILL] * 2
    assert time.monotonic() - started < 60


def test_the_chief_does_not_outlive_its_workers(tmp_path: Path) -> None:
    assert run_workers(Search(leave_at_once, tmp_path, 3, stall_seconds=600), 2, print) == [0, 0]


def in_a_step(job: TuningJob, member: int, meeting: Path, output: Path) -> None:
    """A Tuner's step as a cluster starts it."""
    os.environ.update(WorkerGroup(member, 2, meeting, "127.0.0.1").environment)
    os.environ["TWINTRAIN_TEST_FOLDER"] = str(output.parent)
    result = search_step(job)
    output.write_text(json.dumps(None if result is None else result.trials))


def steps(folder: Path, *overrides: str) -> list[Any]:
    """What two steps, chief and worker, are left with; the worker has made a trial."""
    recipe = load_recipe("standard", [*SMALL, "tuning.workers=2", *overrides])
    jobs = [
        TuningJob("loop", recipe, DATA, folder / str(member)) for member in range(2)
    ]  # pods share no state
    outputs = [folder / f"{member}.json" for member in range(2)]
    processes = [
        multiprocessing.get_context("forkserver").Process(
            target=in_a_step, args=(jobs[member], member, folder / "meeting", outputs[member])
        )
        for member in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (folder / "begun").exists()
    return [json.loads(output.read_text()) for output in outputs]


@pytest.mark.in_turn(1)
def test_a_worker_in_a_step_of_its_own_shares_the_trials_until_it_dies(
    alone: TuningResult, tmp_path: Path
) -> None:
    """The chief sees that it is gone, long before it would be given up, and goes on alone."""
    started = time.monotonic()
    model = f"model.name={__name__}:shared_model"
    found, nothing = steps(tmp_path, model, "tuning.stall_minutes=60")
    assert time.monotonic() - started < 900
    assert nothing is None
    assert [{k: v for k, v in trial.items() if k != "seconds"} for trial in found] == trials(alone)
    assert (tmp_path / "meeting" / "over").exists()


def test_a_helper_that_comes_too_late_or_alone_ends(tmp_path: Path) -> None:
    helper, job = (
        WorkerGroup(1, 2, tmp_path, "127.0.0.1"),
        Search(sleep_for_ever, tmp_path, 3, stall_seconds=1),
    )
    started = time.monotonic()
    help_search(job, helper)
    helper.end()
    help_search(Search(sleep_for_ever, tmp_path, 3, stall_seconds=600), helper)
    assert time.monotonic() - started < 30
