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
from tests.twintrain.training.distributed_pair import main as train_pair
from twintrain.errors import TwintrainError
from twintrain.processes.worker_group import WorkerGroup, run_as_group
from twintrain.training.distribution import join_cluster, share_out

Found = dict[str, np.ndarray]


def pair(tmp_path: Path, replicas: int, *overrides: str, says: str = "") -> Found:
    output = tmp_path / f"{replicas}-{len(overrides)}.npz"
    command = [
        sys.executable,
        "-m",
        "tests.twintrain.training.distributed_pair",
        str(replicas),
        str(output),
    ]
    done = subprocess.run(
        [*command, *overrides], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stderr
    return dict(np.load(output))


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


BUSY = ["regularization.batch_normalization=true", "regularization.dropout=0.25"]


@pytest.mark.parametrize("overrides", [[], BUSY], ids=["plain", "busy"])
def test_twins_on_two_devices_are_the_same_bit_for_bit(
    tmp_path: Path, overrides: list[str]
) -> None:
    """And within rounding what one device makes of the same batches."""
    wanted = ["regularization.l2=0.001", *overrides]
    two = pair(tmp_path, 2, "execution.strategy=mirrored", *wanted)
    assert (two["fit-fingerprints"] == two["loop-fingerprints"]).all()
    assert apart(two, two, ("fit", "loop")) == 0
    assert history(two, "fit") == history(two, "loop")
    if not overrides:  # batch normalization sees each part by itself, and masks are of each part
        one = pair(tmp_path, 1, *wanted)
        assert (one["fit-fingerprints"] == two["fit-fingerprints"]).all()
        assert apart(one, two, ("fit", "fit")) < 1e-4


def test_batches_that_do_not_come_out_even(tmp_path: Path) -> None:
    """200 examples to evaluate on three devices: 67, 67 and 66, which `fit` alone refuses."""
    three = pair(
        tmp_path, 3, "execution.strategy=mirrored", "training.batch_size=33", "training.epochs=1"
    )
    assert apart(three, three, ("fit", "loop")) == 0
    assert history(three, "fit") == history(three, "loop")


def test_xla_on_two_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA refuses a step of several devices; it compiles what each of them does alone, and rounds
    as it likes.
    """
    monkeypatch.setenv(
        "TF_XLA_FLAGS", "--tf_xla_cpu_global_jit"
    )  # TensorFlow leaves CPUs out of it by default
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    fast = ["execution.xla=true", "execution.deterministic=false", "training.epochs=1"]
    two = pair(tmp_path, 2, "execution.strategy=mirrored", *fast, says="Compiled cluster using XLA")
    assert apart(two, two, ("fit", "loop")) < 1e-6


def test_a_batch_that_cannot_be_shared_is_refused_before_it_is_trained_on(tmp_path: Path) -> None:
    with pytest.raises(
        AssertionError, match="batch_size 33: a batch cannot be shared out evenly over 2 devices"
    ):
        pair(tmp_path, 2, "execution.strategy=mirrored", "training.batch_size=33")


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
    """TensorFlow splits a batch of n into parts of ceil(n / replicas) for as long as there are any."""
    sizes = [min(batch, examples - start) for start in range(0, examples, batch)]
    idle = any(-(-size // -(-size // replicas)) < replicas for size in sizes)
    try:
        share_out("a.key", batch, examples, replicas, evenly=False)
    except TwintrainError:
        assert idle
    else:
        assert not idle


@pytest.mark.parametrize("overrides", [[], BUSY], ids=["plain", "busy"])
def test_twins_on_two_machines_are_the_same_bit_for_bit(
    tmp_path: Path, overrides: list[str]
) -> None:
    """Two processes with TF_CONFIG: the batches and weights of both twins, of both processes, and
    those of one machine.
    """
    wanted = ["regularization.l2=0.001", *overrides]
    run_as_group(train_as_member, (tmp_path, ["execution.strategy=multi_worker", *wanted]), 2)
    first, second = (dict(np.load(tmp_path / f"{member}.npz")) for member in range(2))
    for found in (first, second):
        assert (found["fit-fingerprints"] == found["loop-fingerprints"]).all()
        assert apart(found, found, ("fit", "loop")) == 0
        assert history(found, "fit") == history(found, "loop")
    if (
        not overrides
    ):  # batch normalization keeps each machine's own averages, and masks are of each part
        assert apart(first, second, ("fit", "fit")) == 0
        one = pair(tmp_path, 1, *wanted)
        assert (one["fit-fingerprints"] == first["fit-fingerprints"]).all()
        assert apart(one, first, ("fit", "fit")) < 1e-4


def test_a_training_on_two_machines_goes_on_where_it_was(tmp_path: Path) -> None:
    """One epoch, then the second one by new processes: only the first machine writes the state, and
    both read it.
    """
    several, state = (
        ["execution.strategy=multi_worker", "early_stopping.enabled=true"],
        tmp_path / "state",
    )
    several += ["early_stopping.monitor=loss"]
    run_as_group(train_as_member, (tmp_path, [*several, "training.epochs=1"], state), 2)
    assert {path.name for path in state.iterdir()} == {"fit.npz", "loop.npz"}
    run_as_group(train_as_member, (tmp_path, several, state), 2)
    resumed = dict(np.load(tmp_path / "0.npz"))
    run_as_group(train_as_member, (tmp_path, several), 2)
    whole = dict(np.load(tmp_path / "0.npz"))
    assert whole["fit-fingerprints"].shape[0] == 2
    for name in ("fit-fingerprints", "loop-fingerprints"):
        assert (resumed[name] == whole[name]).all()
    assert apart(resumed, whole, ("fit", "fit")) == apart(resumed, whole, ("loop", "loop")) == 0


def test_one_device_needs_no_strategy(tmp_path: Path) -> None:
    short = "training.epochs=1"
    one, mirrored = (
        pair(tmp_path, 1, short),
        pair(tmp_path, 1, short, "execution.strategy=mirrored"),
    )
    assert apart(one, mirrored, ("fit", "fit")) == apart(one, mirrored, ("loop", "loop")) == 0


def train_as_member(folder: Path, overrides: list[str], state: Path | None = None) -> None:
    group = WorkerGroup.of_this_process()
    assert group is not None
    join_cluster(group, minutes=2)
    train_pair(1, folder / f"{group.member}.npz", overrides, state)
