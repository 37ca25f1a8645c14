"""Whole runs through the command line, on 1,500 digits of real MNIST."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.chaos_flips import flips
from tests.conftest import DATA, REPOSITORY
from twintrain.comparison.comparison import Comparison
from twintrain.report.render import FILES

pytestmark = pytest.mark.e2e
SMALL = [
    *(
        "--set",
        "data.limit=1500",
        "--set",
        "training.epochs=2",
        "--set",
        "seeds=[0,1]",
        "--set",
        "tuning.trials=2",
    ),
    *("--set", "tuning.examples=300", "--set", "comparison.threshold=0.5"),
]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", *arguments]


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    temporary = root.with_name(f"{root.name}-temporary")
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        command("run", "--root", str(root), *SMALL, *arguments),
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200", "TMPDIR": str(temporary)},
        cwd=REPOSITORY,
        check=False,
        timeout=600,
    )
    assert not list(temporary.iterdir()), "TFX and Beam leave packages and folders behind"
    return done


def as_in_a_terminal() -> None:
    """Undo what nohup, or a shell that runs the tests in the background, makes every process below
    it ignore.
    """
    for sign in (signal.SIGHUP, signal.SIGINT):
        signal.signal(sign, signal.SIG_DFL)


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("run", "--root", str(root), *SMALL, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        start_new_session=True,
        preexec_fn=as_in_a_terminal,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout
    assert any(text in line for line in process.stdout)


def nothing_works_on(root: Path) -> bool:
    time.sleep(1)
    return not subprocess.run(["pgrep", "-f", str(root)], capture_output=True, check=False).stdout


def comparison(root: Path) -> Comparison:
    return Comparison.model_validate_json((root / "report" / "comparison.json").read_text())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all runs: what one of them has done is not done again by the next."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def first(root: Path) -> subprocess.CompletedProcess[str]:
    """A run to its end, after one that Ctrl-C ended in the middle of a training."""
    started = start(root)
    wait_for(started, "Trainer-fit: 1/4")
    os.killpg(started.pid, signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Interrupted" in errors
    assert nothing_works_on(root)
    done = run(root)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.in_turn(1)
def test_a_closed_terminal_ends_everything(root: Path) -> None:
    started = start(root)
    wait_for(started, "StatisticsGen")
    started.send_signal(signal.SIGHUP)
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Interrupted" in errors
    assert nothing_works_on(root)


def test_an_interrupted_training_goes_on(first: subprocess.CompletedProcess[str]) -> None:
    """To the same weights: tests/twintrain/training/test_parity.py."""
    assert "Transform: taken from an earlier run" in first.stdout
    assert "Trainer-fit: 1/4" not in first.stdout
    assert "Trainer-fit: 4/4" in first.stdout


def test_one_recipe_makes_identical_twins(
    first: subprocess.CompletedProcess[str], root: Path
) -> None:
    found = comparison(root)
    assert found.verdict == "identical"
    assert found.gap == 0
    assert found.parity.max_abs_difference == 0
    assert found.parity.lockstep.first is None
    assert found.parity.lockstep.steps == 20
    assert all(seed.difference == 0 for part in found.slices for seed in part.seeds)
    assert {part.name for part in found.slices} == {
        "overall",
        *(f"label={label}" for label in range(10)),
        *(f"ink={name}" for name in ("light", "medium", "heavy")),
    }
    assert sum(split["examples"] for split in found.data.values()) == 1500
    assert (
        found.twins["fit"].trials[0]["learning_rate"]
        == found.twins["loop"].trials[0]["learning_rate"]
    )
    assert "the gap is exactly 0" in " ".join(first.stdout.split())
    assert str(root / "report" / "report.html") in first.stdout
    assert {path.name for path in (root / "report").iterdir()} == set(FILES)
    assert found.push.pushed
    assert "nothing has been pushed before" in {check.text for check in found.push.checks}
    assert found.disagreement_count == 0
    assert found.attribution is None


def test_of_every_bit_that_flips_afterwards_something_is_said(
    first: subprocess.CompletedProcess[str], root: Path
) -> None:
    """Or it is one that no run reads; of 10,000, `benchmarks/chaos.py` asks."""
    asked = [trial.kind for trial in flips(root, 200, seed=0)]
    assert "silent" not in asked
    assert {"made anew", "counts no more", "refused in a sentence"} <= set(asked)


def test_both_exported_twins_answer_on_raw_examples(
    first: subprocess.CompletedProcess[str], root: Path
) -> None:
    import keras
    import numpy as np
    import tensorflow as tf

    from components.example_gen import encode
    from twintrain.data import idx

    pair = idx.find_pair(DATA, "eval")
    raw = list(idx.read_images(pair.images, 0, 20))
    serialized = [encode(f"e{i}", image, 0).SerializeToString() for i, image in enumerate(raw)]
    pixels = np.frombuffer(b"".join(raw), np.uint8).reshape(20, 28, 28, 1).astype(
        np.float32
    ) / np.float32(255)
    answers = []
    for twin in ("fit", "loop"):
        (folder,) = (root / "artifacts" / f"Trainer-{twin}" / "model").glob("*/Format-Serving")
        served = tf.saved_model.load(str(folder)).signatures["serving_default"](
            tf.constant(serialized)
        )["probabilities"]
        direct = keras.models.load_model(folder / "twin.keras")(pixels, training=False)
        np.testing.assert_allclose(served, direct, atol=1e-6)
        answers.append(served.numpy())
    np.testing.assert_array_equal(answers[0], answers[1])


def test_records_logs_and_the_blessed_twin_are_left(
    first: subprocess.CompletedProcess[str], root: Path
) -> None:
    for twin in ("fit", "loop"):
        made = (root / "artifacts" / f"Trainer-{twin}" / "model_run").iterdir()
        records = max(made, key=lambda folder: int(folder.name))  # not of the one interrupted
        assert {path.name for path in records.iterdir()} >= {"seed-0", "seed-1"}
        assert list(records.glob("seed-*/tensorboard/events*"))
    assert list((root / "pushed").glob("*/saved_model.pb"))
    assert not [
        path for path in (root / "state").rglob("*") if path.is_file()
    ]  # nothing is left of trainings that ended
    assert list((root / "logs").glob("*.log"))


def test_a_second_run_takes_everything_from_the_first(
    first: subprocess.CompletedProcess[str], root: Path
) -> None:
    """But the decision about pushing and what follows it: now this twin itself stands there."""
    before = comparison(root)
    done = run(root)
    assert done.returncode == 0
    nodes = [line for line in done.stdout.splitlines() if "taken from an earlier run" in line]
    assert len(nodes) == 14
    again = comparison(root)
    idle = {"created", "push", "digest"}
    assert again.model_dump(exclude=idle) == before.model_dump(exclude=idle)
    (version,) = (root / "pushed").iterdir()
    assert again.push.pushed
    assert f"it is this very twin, version {version.name}" in {
        check.text for check in again.push.checks
    }


@pytest.mark.in_turn(3)
def test_a_loop_that_deviates_is_compared_and_fit_is_not_trained_again(
    first: subprocess.CompletedProcess[str], root: Path
) -> None:
    crossed = [
        "--set",
        "attribution.enabled=true",
        "--set",
        "comparison.slices=[[label],[label,ink]]",
    ]
    done = run(root, "--set", "loop.training.shuffle=false", *crossed, "--seeds-at-a-time", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    found = comparison(root)
    assert found.verdict != "identical"
    assert not found.parity.same_batches
    assert found.parity.max_abs_difference > 0
    assert found.parity.seeds[0].first_different_batch == (0, 0)
    assert found.parity.lockstep.first is not None
    assert (found.parity.lockstep.first.stage, found.parity.lockstep.first.step) == ("batch", 1)
    assert "training.shuffle=false" in found.sentence
    assert "Trainer-fit: taken from an earlier run" in done.stdout
    assert "Trainer-loop: done" in done.stdout
    last = next(check for check in found.push.checks if check.name == "against the last pushed")
    assert last.value is not None
    crosses = {part.name: part.n for part in found.slices if part.name.startswith("label=3 ")}
    assert sum(crosses.values()) == next(part.n for part in found.slices if part.name == "label=3")
    explained = found.attribution
    assert explained is not None
    assert [share.practice for share in explained.shares] == ["shuffling"]
    assert explained.shares[0].worth == pytest.approx(found.gap, abs=1e-9)
    assert explained.reused == explained.trainings == 4  # both twins' trainings were taken over
    page = (root / "report" / "report.html").read_text()
    assert "Where the gap comes from" in page
    assert page.count("data:image/png;base64,") == len(found.disagreements) > 0


def test_broken_data_stops_the_run_and_leaves_the_report(
    first: subprocess.CompletedProcess[str], root: Path, tmp_path: Path
) -> None:
    before = (root / "report" / "comparison.json").read_bytes()
    for path in DATA.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = tmp_path / "t10k-images-idx3-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:-1000])
    done = run(root, "--data", str(tmp_path))
    assert done.returncode == 2
    assert f"{broken} is truncated" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert (root / "report" / "comparison.json").read_bytes() == before
    (log,) = {
        line.split()[-1] for line in done.stdout.splitlines() if line.strip().startswith("log ")
    }
    assert "Traceback" in Path(log).read_text()
