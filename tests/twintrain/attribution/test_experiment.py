from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.conftest import DATA
from tests.twintrain.training.records import write_record
from twintrain.attribution.analysis import total
from twintrain.attribution.cost_estimate import CostEstimate, Silent
from twintrain.attribution.experiment import Question, _Experiment, explain
from twintrain.attribution.practices import practices_between
from twintrain.attribution.trainer_process import Prepared, TrainerProcess
from twintrain.attribution.training_cache import Cache, Training
from twintrain.data.example_spec import labelled_images
from twintrain.data.idx_source import IdxData
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe

PROBLEM = find_problem(load_recipe("standard"), labelled_images((28, 28, 1), 10))
SMALL = ["data.limit=700", "training.epochs=1", "seeds=[0,1]", "model.name=mlp"]


class Listener(Silent):
    def __init__(self, stop_after: int = 100) -> None:
        self.bills: list[CostEstimate] = []
        self.trained: list[str] = []
        self._stop_after = stop_after

    def estimate(self, estimate: CostEstimate) -> None:
        self.bills.append(estimate)

    def training(self, done: int, total: int, text: str) -> None:
        if text.startswith("seed"):
            self.trained.append(text)
            if len(self.trained) > self._stop_after:
                raise KeyboardInterrupt


def question(cache: Path, *overrides: str, budget: float | None = None) -> Question:
    start = load_recipe("standard", [*SMALL, *overrides])
    end = load_recipe("bare", [*SMALL, *overrides, "loop.optimizer.name=sgd"])
    return Question(start, end, IdxData(DATA, 700), cache, budget)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trainings")


@pytest.mark.in_turn(4)
def test_an_interrupted_experiment_goes_on_and_ends_in_shares_of_the_gap(cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        explain(question(cache), Listener(stop_after=3))
    listener = Listener()
    found = explain(question(cache), listener)
    (estimate,) = listener.bills
    assert (estimate.trainings, estimate.done) == (8, 3)
    assert len(listener.trained) == 5
    assert (found.trainings, found.reused) == (8, 3)
    assert total(found) == pytest.approx(found.gap, abs=1e-9)
    shares = {share.practice: share for share in found.shares}
    assert set(shares) == {"shuffling", "optimizer and tuning", "training flag", "graph execution"}
    assert "changes no bit" in shares["training flag"].idle
    assert shares["training flag"].worth == 0
    assert shares["graph execution"].idle
    assert found.framework == 0  # fit and the loop are equal bit for bit
    assert found.gap < -10  # plain SGD learns next to nothing in one short epoch
    assert shares["optimizer and tuning"].ci95[1] < 0
    assert shares["optimizer and tuning"].worth < shares["shuffling"].worth


@pytest.mark.in_turn(4)  # after the one before
def test_a_finished_experiment_trains_nothing(cache: Path) -> None:
    listener = Listener()
    found = explain(question(cache), listener)
    assert listener.trained == []
    assert found.reused == found.trainings == 8
    assert listener.bills[0].seconds == 0


def test_a_budget_too_small_is_refused_with_the_smallest_bill(tmp_path: Path) -> None:
    asked = question(tmp_path, budget=60)
    start, end = asked.start.for_twin("fit"), asked.end.for_twin("loop")
    practices = practices_between(start, end)[:2]
    prepared = Prepared("data", test_examples=100, seconds=[10, 20], framework=0, moved=[])
    with TrainerProcess(asked.data, tmp_path / "log.txt", lambda text: None) as unused:
        cache = Cache(tmp_path, "code")
        experiment = _Experiment(asked, start, end, practices, {}, prepared, cache, unused)
        said = r"the smallest experiment \(8 trainings\) takes about 120 s"
        with pytest.raises(TwintrainError, match=said):
            experiment.estimate()


def test_equal_recipes_have_nothing_to_explain(tmp_path: Path) -> None:
    same = load_recipe("standard", SMALL)
    with pytest.raises(TwintrainError, match="Nothing to explain"):
        explain(Question(same, same, IdxData(DATA, 700), tmp_path))


def test_the_pipelines_trainings_are_taken_over(tmp_path: Path) -> None:
    record = tmp_path / "record"
    outputs = np.eye(10, dtype=np.float32)[[1, 2, 3]]
    write_record(record, targets=np.array([1, 2, 4]), outputs=outputs, epoch_seconds=(2.0, 3.0))
    cache, training = (
        Cache(tmp_path / "cache", "data code"),
        Training("loop", load_recipe("standard"), 0),
    )
    assert not cache.has(training)
    cache.adopt(training, record)
    assert cache.has(training)
    outcome = cache.outcome(training, PROBLEM)
    assert outcome.scores.tolist() == [1, 1, 0]
    assert outcome.seconds == 5
    assert not Cache(tmp_path / "cache", "other code").has(training)
    assert not cache.has(Training("loop", load_recipe("standard"), 1))


def test_a_training_that_predicts_nan_is_said(tmp_path: Path) -> None:
    cache, training = Cache(tmp_path, "x"), Training("loop", load_recipe("standard"), 0)
    with cache.filling(training) as place:
        write_record(place, outputs=np.full((3, 10), np.nan, np.float32))
    with pytest.raises(TwintrainError, match="predicts NaN"):
        cache.outcome(training, PROBLEM)


@pytest.mark.in_turn(4)
def test_a_killed_parent_takes_the_training_process_with_it(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from twintrain.attribution.trainer_process import TrainerProcess\n"
        "import os, time\n"
        "if __name__ == '__main__':\n"
        f"    trainer = TrainerProcess(None, Path({str(tmp_path / 'log')!r}), lambda text: None)\n"
        "    print(trainer.call(os.getpid), flush=True)\n"
        "    time.sleep(60)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert psutil.pid_exists(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(child)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
