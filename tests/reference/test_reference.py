"""The reference problems, on rows of their real data (`flights.csv.gz` and `opinions.csv.gz` are
samples of what `twintrain data fetch` makes), end in what is known of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.conftest import REPOSITORY
from tests.turns import dealt_out
from twintrain.comparison.comparison import Comparison
from twintrain.data.public_tables import fetch_table, recipe_beside

HERE = Path(__file__).parent
# Name, figure and its bounds: what is usual on a sample as small as this, with two seeds.
EXPECTED = [
    ("flights", "ROC AUC", 0.6, 0.75),
    ("opinions", "accuracy", 0.45, 0.7),
    ("visits", "mean Poisson deviance", 3.5, 5.0),
]
SLICES = {
    "flights": {"origin=EWR", "carrier=UA"},
    "opinions": {"source=tweet", "source=film"},
    "visits": {"idp=1"},
}


@pytest.mark.e2e
@pytest.mark.parametrize(("name", "metric", "least", "most"), dealt_out(EXPECTED, first=1))
def test_both_twins_are_the_same_and_as_good_as_is_known(
    tmp_path: Path, name: str, metric: str, least: float, most: float
) -> None:
    data = tmp_path / name
    data.mkdir()
    if name == "visits":
        list(fetch_table(name, data, None, Console(quiet=True)))
    else:
        shutil.copy(HERE / f"{name}.csv.gz", data)
        list(recipe_beside(data, name))
    command = [sys.executable, "-m", "pipelines.cli", "compare", "--quick", "--data", str(data)]
    done = subprocess.run(
        [*command, "--root", str(tmp_path / "root")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = tmp_path / "root" / "report" / "comparison.json"
    found = Comparison.model_validate_json(report.read_text(encoding="utf-8"))
    assert found.verdict == "identical"
    assert found.metric.name == metric
    assert least < found.twins["fit"].mean_score < most
    assert {part.name for part in found.slices} > SLICES[name]
    assert (data / "schema.pbtxt").exists()
