from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.twintrain.training.distributed_pair import main as train_pair
from twintrain.crew import Crew, run_as_crew
from twintrain.training.distribution import join_cluster

Found = dict[str, np.ndarray]


def pair(tmp_path: Path, replicas: int, *overrides: str) -> Found:
    output = tmp_path / f"{replicas}-{len(overrides)}.npz"
    command = [sys.executable, "-m", "tests.twintrain.training.distributed_pair", str(replicas), str(output)]
    done = subprocess.run([*command, *overrides], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    return dict(np.load(output))


def apart(found: Found, other: Found, twins: tuple[str, str]) -> float:
    """Largest difference of any weight between two twins."""
    names = [name.removeprefix("fit-") for name in found if name.startswith("fit-") and name[4:].isdigit()]
    return max(float(np.abs(found[f"{twins[0]}-{name}"] - other[f"{twins[1]}-{name}"]).max()) for name in names)


def history(found: Found, twin: str) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = json.loads(str(found[f"{twin}-history"]))
    return figures


def test_twins_on_two_devices_do_the_same_as_each_other_and_as_on_one(tmp_path: Path) -> None:
    """Batches alike bit for bit, weights within rounding (1.9e-8 measured; a loss scaled wrongly gives 2e-3)."""
    two = pair(tmp_path, 2, "execution.strategy=mirrored", "regularization.l2=0.001")
    assert (two["fit-fingerprints"] == two["loop-fingerprints"]).all()
    assert apart(two, two, ("fit", "loop")) < 1e-6
    for name, values in history(two, "fit").items():
        assert history(two, "loop")[name] == pytest.approx(values, rel=1e-5), name
    one = pair(tmp_path, 1, "regularization.l2=0.001")
    assert (one["fit-fingerprints"] == two["fit-fingerprints"]).all()
    for twin in ("fit", "loop"):
        assert apart(one, two, (twin, twin)) < 1e-4


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="cannot be shared out evenly over 2 devices"):
        pair(tmp_path, 2, "execution.strategy=mirrored", "training.batch_size=33")


@pytest.mark.parametrize(
    "overrides", [[], ["regularization.batch_normalization=true", "regularization.dropout=0.25"]], ids=["plain", "busy"]
)
def test_twins_on_two_machines_are_the_same_bit_for_bit(tmp_path: Path, overrides: list[str]) -> None:
    """Two processes with TF_CONFIG: the batches and weights of both twins, of both processes, and those of one machine."""
    wanted = ["regularization.l2=0.001", *overrides]
    run_as_crew(train_as_member, (tmp_path, ["execution.strategy=multi_worker", *wanted]), 2)
    first, second = (dict(np.load(tmp_path / f"{member}.npz")) for member in range(2))
    for found in (first, second):
        assert (found["fit-fingerprints"] == found["loop-fingerprints"]).all()
        assert apart(found, found, ("fit", "loop")) == 0
        assert history(found, "fit") == history(found, "loop")
    if not overrides:  # batch normalization keeps each machine's own averages, and masks are of each part
        assert apart(first, second, ("fit", "fit")) == 0
        one = pair(tmp_path, 1, *wanted)
        assert (one["fit-fingerprints"] == first["fit-fingerprints"]).all()
        assert apart(one, first, ("fit", "fit")) < 1e-4


def test_a_training_on_two_machines_goes_on_where_it_was(tmp_path: Path) -> None:
    """One epoch, then the second one by new processes: only the first machine writes the state, and both read it."""
    several, state = ["execution.strategy=multi_worker", "early_stopping.enabled=true"], tmp_path / "state"
    several += ["early_stopping.monitor=loss"]
    run_as_crew(train_as_member, (tmp_path, [*several, "training.epochs=1"], state), 2)
    assert {path.name for path in state.iterdir()} == {"fit.npz", "loop.npz"}
    run_as_crew(train_as_member, (tmp_path, several, state), 2)
    resumed = dict(np.load(tmp_path / "0.npz"))
    run_as_crew(train_as_member, (tmp_path, several), 2)
    whole = dict(np.load(tmp_path / "0.npz"))
    assert whole["fit-fingerprints"].shape[0] == 2
    for name in ("fit-fingerprints", "loop-fingerprints"):
        assert (resumed[name] == whole[name]).all()
    assert apart(resumed, whole, ("fit", "fit")) == apart(resumed, whole, ("loop", "loop")) == 0


def test_one_device_needs_no_strategy(tmp_path: Path) -> None:
    one, mirrored = pair(tmp_path, 1), pair(tmp_path, 1, "execution.strategy=mirrored")
    assert apart(one, mirrored, ("fit", "fit")) == apart(one, mirrored, ("loop", "loop")) == 0


def train_as_member(folder: Path, overrides: list[str], state: Path | None = None) -> None:
    crew = Crew.of_this_process()
    assert crew is not None
    join_cluster(crew, minutes=2)
    train_pair(1, folder / f"{crew.member}.npz", overrides, state)
