"""Images of one's own, in colour, from files to the report."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import DATA, REPOSITORY
from tests.twintrain.data.importing.images import put
from twintrain.comparison.comparison import Comparison
from twintrain.data import idx

pytestmark = pytest.mark.e2e
LABELS = ("five", "three", "eight")


def put_digits(folder: Path, split: str, images: int) -> None:
    """The first threes, fives and eights of MNIST, each in a colour of its own, 24 pixels high and
    20 wide.
    """
    pair = idx.find_pair(DATA, split)
    rng = np.random.default_rng(0)
    digits = zip(
        idx.read_labels(pair.labels)[:images], idx.read_images(pair.images, 0, images), strict=True
    )
    for number, (label, image) in enumerate(digits):
        if label in (3, 5, 8):
            grey = np.frombuffer(image, np.uint8).reshape(28, 28)[2:26, 4:24]
            name = {3: "three", 5: "five", 8: "eight"}[int(label)]
            put(
                folder / name / f"{number:05d}.png",
                (grey[:, :, None] * rng.uniform(0.3, 1, 3)).astype(np.uint8),
            )


def twintrain(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.in_turn(1)
def test_colour_images_of_ones_own_are_compared(tmp_path: Path) -> None:
    put_digits(tmp_path / "digits" / "train", "train", 2400)
    put_digits(tmp_path / "digits" / "test", "eval", 600)
    data, root = tmp_path / "data", tmp_path / "root"
    twintrain("data", "import", tmp_path / "digits", "--to", data)
    settings = [
        "seeds=[0]",
        "training.epochs=1",
        "tuning.trials=0",  # colours are searched in tests/twintrain/tuning/test_search.py
        "loop.training.shuffle=false",
    ]
    sets = [
        part for setting in (*settings, "augmentation.rotation=10") for part in ("--set", setting)
    ]
    twintrain("run", "--data", data, "--recipe", data / "recipe.yaml", "--root", root, *sets)
    found = Comparison.model_validate_json((root / "report" / "comparison.json").read_text())
    named = {part.name for part in found.slices if part.name.startswith("label=")}
    assert named == {f"label={name}" for name in LABELS}
    assert found.twins["fit"].mean_score > 0.5
    page = (root / "report" / "report.html").read_text()
    shown = re.search(r"data:image/png;base64,([^\"]+)", page)
    assert shown, "a loop that does not shuffle decides otherwise somewhere"
    image = Image.open(io.BytesIO(base64.b64decode(shown[1])))
    assert (image.mode, image.size) == ("RGB", (20, 24))
