from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.twintrain.test_tuning import DATA, OVERRIDES
from twintrain.models import textbook_cnn
from twintrain.recipe import Recipe
from twintrain.recipe_files import load_recipe
from twintrain.tuning import TuningJob, TuningResult, search
from twintrain.tuning_workers import run_workers

_calls = 0


def dying_model(recipe: Recipe, input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """The textbook's model; the first worker dies as it begins its first trial, as if its machine were gone."""
    global _calls
    _calls += 1
    if os.environ.get("KERASTUNER_TUNER_ID") == "worker-0" and _calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return textbook_cnn(recipe, input_shape, classes)


def run(folder: Path, *overrides: str) -> TuningResult:
    return search(TuningJob("loop", load_recipe("standard", [*OVERRIDES, "tuning.epochs=1", *overrides]), DATA, folder))


def trials(result: TuningResult) -> list[dict[str, Any]]:
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in result.trials]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> TuningResult:
    return run(tmp_path_factory.mktemp("alone"))


def test_two_workers_make_the_trials_of_one(alone: TuningResult, tmp_path: Path) -> None:
    together = run(tmp_path, "tuning.workers=2")
    assert trials(together) == trials(alone)
    assert together.best == alone.best


def test_a_worker_that_dies_costs_no_trial(alone: TuningResult, tmp_path: Path) -> None:
    model = f"model.name={__name__}:dying_model"
    assert trials(run(tmp_path, "tuning.workers=2", model)) == trials(alone)


def sleep_for_ever() -> None:
    time.sleep(3600)


def leave_at_once() -> None:
    """A worker with nothing to do; the chief has to be there as long as any worker is."""
    if os.environ["KERASTUNER_TUNER_ID"] == "chief":
        time.sleep(3600)


def test_workers_that_do_nothing_are_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    ended = run_workers(sleep_for_ever, tmp_path, 2, stall_seconds=3, tell=print)
    assert ended == [-signal.SIGKILL] * 2
    assert time.monotonic() - started < 60


def test_the_chief_does_not_outlive_its_workers(tmp_path: Path) -> None:
    assert run_workers(partial(leave_at_once), tmp_path, 2, stall_seconds=600, tell=print) == [0, 0]
