from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.pipelines.cli.test_main import twintrain
from tests.twintrain.data.importing.images import pictures, put_folder
from twintrain.data.idx import find_pair, inspect_pair


def taken(*arguments: object) -> subprocess.CompletedProcess[str]:
    return twintrain("data", "import", *map(str, arguments))


def test_images_come_in_and_what_to_do_next_is_said(tmp_path: Path) -> None:
    put_folder(tmp_path / "pets", {"cat": 10, "dog": 20}, 8, 9, 3)
    done = taken(
        tmp_path / "pets", "--to", tmp_path / "the data", "--size", "4x6", "--hold-out", "0.1"
    )
    assert done.returncode == 0, done.stderr
    assert "27 training images and 3 test images of 4 x 6 x 3, 2 labels" in done.stdout
    assert (
        f"Next:  twintrain run --data '{tmp_path}/the data' --root 'runs/the data'" in done.stdout
    )
    assert inspect_pair(find_pair(tmp_path / "the data", "train")).shape == (4, 6, 3)
    shown = twintrain("recipe", "--recipe", str(tmp_path / "the data" / "recipe.yaml")).stdout
    assert "- cat\n" in shown


def test_arrays_get_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=pictures(20, 4, 4), y=np.arange(20) % 2)
    done = taken(tmp_path / "d.npz", "--to", tmp_path / "in", "--names", "even, odd")
    assert done.returncode == 0, done.stderr
    assert "label_names: [even, odd]" in (tmp_path / "in" / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "nowhere does not exist."),
        ([".", "--size", "64 by 64"], "--size '64 by 64' is not of the form HEIGHTxWIDTH, each"),
        ([".", "--size", "0"], "--size '0' is not of the form HEIGHTxWIDTH, each"),
        ([".", "--size", "100000x9"], "each from 1 to 4096"),
        ([".", "--channels", "2"], "--channels 2: images are grey or in colour."),
        (["docs"], "No image below docs in a directory named like its label."),
    ],
)
def test_what_is_wrong_is_said_in_two_lines(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    done = taken(*arguments, "--to", tmp_path / "in")
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "in").exists()


def test_a_span_needs_to_be_told_of_what(tmp_path: Path) -> None:
    put_folder(tmp_path / "june" / "span-6", {"cat": 10, "dog": 20}, 4, 4)
    done = taken(tmp_path / "june" / "span-6")
    assert done.returncode == 2
    assert "is called like one of several spans" in done.stderr
    assert "--to data/NAME/span-6" in done.stderr


def test_interrupted_it_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=pictures(200_000, 4, 4), y=np.arange(200_000) % 2)
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "data",
        "import",
        str(tmp_path / "d.npz"),
        "--to",
    ]
    started = subprocess.Popen(
        [*command, str(tmp_path / "in")],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (tmp_path / ".in.partial").exists():
        assert started.poll() is None
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=60)
    assert started.returncode == 130
    assert f"Interrupted. Nothing was left at {tmp_path}/in." in told
    assert [path.name for path in tmp_path.iterdir()] == ["d.npz"]


def test_help_says_what_is_taken_where_nothing_is_given() -> None:
    shown = " ".join(twintrain("data", "import", "--help").stdout.replace("│", " ").split())
    assert "data/NAME of the source" in shown
    assert "[default: 0.2]" in shown
    shown = " ".join(twintrain("run", "--help").stdout.replace("│", " ").split())
    assert "[default: (MNIST)]" in shown
    assert "schema.pbtxt of the data, else MNIST's" in shown
    assert "recipe.yaml of the data, else standard" in shown
