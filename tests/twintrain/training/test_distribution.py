"""Twins on several devices and machines.

Processes are what these tests cost: each one trains everything that is asked of its number of
devices, and the tests read what it has left.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from tests.twintrain.training.distributed_pair import Found, train_pair
from twintrain.errors import TwintrainError
from twintrain.processes.worker_group import WorkerGroup, run_as_group
from twintrain.training.distribution import join_cluster, share_out

PLAIN = ["regularization.l2=0.001"]
MLP = "model.name=mlp"
BUSY = [
    *(MLP, *PLAIN),
    "regularization.batch_normalization=true",
    "regularization.dropout=0.25",
    "training.class_weight=balanced",
]
RESUMED = [MLP, "early_stopping.enabled=true", "early_stopping.monitor=loss"]
MIRRORED, SEVERAL = "execution.strategy=mirrored", "execution.strategy=multi_worker"


def on_devices(replicas: int, folder: Path, recipes: dict[str, list[str]]) -> str:
    """Train each recipe on that many devices in one new process; what it said."""
    module = "tests.twintrain.training.distributed_pair"
    command = [sys.executable, "-m", module, str(replicas), str(folder), json.dumps(recipes)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def apart(found: Found, other: Found, twins: tuple[str, str]) -> float:
    """Largest difference of any weight between two twins."""
    names = [
        name.removeprefix("fit-")
        for name in found
        if name.startswith("fit-") and name[4:].isdigit()
    ]
    return max(
        float(np.abs(found[f"{twins[0]}-{name}"] - other[f"{twins[1]}-{name}"]).max())
        for name in names
    )


def history(found: Found, twin: str) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = json.loads(str(found[f"{twin}-history"]))
    return figures


def assert_equal_twins(found: Found) -> None:
    assert (found["fit-fingerprints"] == found["loop-fingerprints"]).all()
    assert apart(found, found, ("fit", "loop")) == 0
    assert history(found, "fit") == history(found, "loop")


def assert_of_one_device(found: Found, one: Found) -> None:
    """The very batches of one device, and its weights within rounding."""
    assert (one["fit-fingerprints"] == found["fit-fingerprints"]).all()
    assert 0 < apart(one, found, ("fit", "fit")) < 1e-4


@pytest.fixture(scope="module")
def one_device() -> Found:
    return train_pair(PLAIN)


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    odd = ["training.batch_size=33"]
    # In one process, so that models of other shapes meet the collectives of those before them.
    wanted = {"plain": PLAIN, "odd": odd, "busy": BUSY}
    on_devices(2, folder, {name: [MIRRORED, *keys] for name, keys in wanted.items()})
    return folder


@pytest.mark.in_turn(2)
@pytest.mark.parametrize("name", ["plain", "busy"])
def test_twins_on_two_devices_are_the_same_bit_for_bit(name: str, two_devices: Path) -> None:
    assert_equal_twins(dict(np.load(two_devices / f"{name}.npz")))


@pytest.mark.in_turn(2)
def test_two_devices_make_within_rounding_what_one_makes(
    two_devices: Path, one_device: Found
) -> None:
    """Not of the busy recipe: batch normalization sees each part of a batch by itself, and masks
    are of each part.
    """
    assert_of_one_device(dict(np.load(two_devices / "plain.npz")), one_device)


@pytest.mark.in_turn(2)
def test_a_batch_that_cannot_be_shared_is_refused_before_it_is_trained_on(
    two_devices: Path,
) -> None:
    said = (two_devices / "odd.txt").read_text()
    assert "batch_size 33: a batch cannot be shared out evenly over 2 devices" in said


@pytest.mark.in_turn(0)
def test_batches_that_do_not_come_out_even(tmp_path: Path) -> None:
    """200 examples to evaluate on three devices: 67, 67 and 66, which `fit` alone refuses."""
    wanted = [MIRRORED, MLP, "training.batch_size=33", "training.epochs=1"]
    on_devices(3, tmp_path, {"three": wanted})
    assert_equal_twins(dict(np.load(tmp_path / "three.npz")))


@pytest.mark.in_turn(0)
def test_xla_on_two_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA refuses a step of several devices; it compiles what each of them does alone, and rounds
    as it likes.
    """
    # TensorFlow leaves CPUs out of it by default.
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_cpu_global_jit")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    fast = ["execution.xla=true", "execution.deterministic=false", "training.epochs=1"]
    said = on_devices(2, tmp_path, {"fast": [MIRRORED, MLP, *fast]})
    assert "Compiled cluster using XLA" in said
    found = dict(np.load(tmp_path / "fast.npz"))
    assert apart(found, found, ("fit", "loop")) < 1e-6


@pytest.mark.in_turn(2)
def test_one_device_needs_no_strategy(one_device: Found) -> None:
    mirrored = train_pair([MIRRORED, *PLAIN])
    assert (
        apart(one_device, mirrored, ("fit", "fit"))
        == apart(one_device, mirrored, ("loop", "loop"))
        == 0
    )


@pytest.mark.parametrize(
    ("batch", "examples", "replicas", "evenly", "says", "mend"),
    [
        (33, 330, 2, True, "cannot be shared out evenly over 2 devices", "Set it to 32."),
        (
            32,
            321,
            2,
            True,
            "of 321 examples, a batch of 1 leaves one of 2 devices without any",
            "Set it to 30.",
        ),
        (
            100,
            201,
            2,
            False,
            "of 201 examples, a batch of 1 leaves one of 2 devices without any",
            "Set it to 99.",
        ),
        (
            500,
            9,
            4,
            False,
            "of 9 examples, a batch of 9 leaves one of 4 devices without any",
            "Use fewer devices.",
        ),
        (
            4,
            3,
            4,
            True,
            "of 3 examples, a batch of 3 leaves one of 4 devices without any",
            "Use fewer devices.",
        ),
    ],
)
def test_a_batch_size_that_would_do(
    batch: int, examples: int, replicas: int, evenly: bool, says: str, mend: str
) -> None:
    with pytest.raises(TwintrainError) as refused:
        share_out("a.key", batch, examples, replicas, evenly=evenly)
    assert str(refused.value).startswith(f"a.key {batch}: ")
    assert says in str(refused.value)
    assert str(refused.value).endswith(mend)


@given(st.integers(1, 300), st.integers(1, 2000), st.integers(2, 9))
def test_what_is_not_refused_leaves_no_device_idle(
    batch: int, examples: int, replicas: int
) -> None:
    """TensorFlow splits a batch of n into parts of ceil(n / replicas) while there are any left."""
    sizes = [min(batch, examples - start) for start in range(0, examples, batch)]
    idle = any(-(-size // -(-size // replicas)) < replicas for size in sizes)
    try:
        share_out("a.key", batch, examples, replicas, evenly=False)
    except TwintrainError:
        assert idle
    else:
        assert not idle


def train_as_member(
    folder: Path, recipes: dict[str, list[str]], state: Path, kept: tuple[str, ...]
) -> None:
    """Train each recipe as one of several machines; those in `kept` leave their state, or go on
    from it.
    """
    group = WorkerGroup.of_this_process()
    assert group is not None
    join_cluster(group, minutes=2)
    for name, overrides in recipes.items():
        found = train_pair([SEVERAL, *overrides], state if name in kept else None)
        np.savez(folder / f"{name}-{group.member}.npz", **found)


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of two processes with TF_CONFIG is left with, by recipe."""
    folder = tmp_path_factory.mktemp("machines")
    begun = [*RESUMED, "training.epochs=1"]
    recipes = {"plain": PLAIN, "busy": BUSY, "whole": RESUMED, "begun": begun}
    run_as_group(train_as_member, (folder, recipes, folder / "state", ("begun",)), 2)
    return folder


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("name", ["plain", "busy"])
def test_twins_on_two_machines_are_the_same_bit_for_bit(name: str, two_machines: Path) -> None:
    for member in range(2):
        assert_equal_twins(dict(np.load(two_machines / f"{name}-{member}.npz")))


@pytest.mark.in_turn(1)
def test_two_machines_make_the_same_and_within_rounding_what_one_makes(
    two_machines: Path, one_device: Found
) -> None:
    """Not of the busy recipe: batch normalization keeps each machine's own averages, and masks are
    of each part.
    """
    first, second = (dict(np.load(two_machines / f"plain-{member}.npz")) for member in range(2))
    assert apart(first, second, ("fit", "fit")) == 0
    assert_of_one_device(first, one_device)


@pytest.mark.in_turn(1)
def test_a_training_on_two_machines_goes_on_where_it_was(two_machines: Path) -> None:
    """One epoch, then the second one by new processes: only the first machine writes the state, and
    both read it.
    """
    state = two_machines / "state"
    assert {path.name for path in state.iterdir()} == {"fit.npz", "loop.npz"}
    run_as_group(train_as_member, (two_machines, {"resumed": RESUMED}, state, ("resumed",)), 2)
    resumed, whole = (
        dict(np.load(two_machines / f"{name}-0.npz")) for name in ("resumed", "whole")
    )
    assert whole["fit-fingerprints"].shape[0] == 2
    for name in ("fit-fingerprints", "loop-fingerprints"):
        assert (resumed[name] == whole[name]).all()
    assert apart(resumed, whole, ("fit", "fit")) == apart(resumed, whole, ("loop", "loop")) == 0
