"""What the Evaluator is asked for, and what TFMA makes of it: metrics, slices, the blessing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from components.evaluator import BASELINE, CANDIDATE, eval_config
from tests.components.tfma_runs import evaluate
from tests.turns import dealt_out
from twintrain.problems.statement import IMAGES, Statement
from twintrain.problems.task import Counts
from twintrain.recipe.files import load_recipe

LABELS = np.arange(400) % 4


def outputs(right: int) -> np.ndarray:
    """Probabilities [400, 4] that are right on the first examples."""
    chosen = np.where(np.arange(400) < right, LABELS, (LABELS + 1) % 4)
    return np.eye(4, dtype=np.float32)[chosen] * np.float32(0.9) + np.float32(0.025)


def test_the_problems_metrics_are_asked_of_both_twins_and_the_one_compared_decides() -> None:
    recipe = load_recipe("standard", ["comparison.slices=[[label],[label,ink]]"])
    config = eval_config(recipe, IMAGES)
    assert [(spec.name, spec.is_baseline) for spec in config.model_specs] == [
        (CANDIDATE, False),
        (BASELINE, True),
    ]
    assert [list(spec.feature_keys) for spec in config.slicing_specs] == [
        [],
        ["label"],
        ["label", "ink"],
    ]
    shared, paired = config.metrics_specs
    names = [json.loads(metric.config)["name"] for metric in shared.metrics[1:]]
    assert names == [metric.name for metric in IMAGES.task.metrics()]
    assert list(paired.per_slice_thresholds) == ["score"]
    assert list(paired.model_names) == [CANDIDATE]


@pytest.mark.parametrize(
    ("fit", "loop", "blessed"),
    dealt_out(
        [
            (380, 376, False),  # 1 point: outside the margin of 0.5
            (200, 200, False),  # below the floor
            (380, 380, True),
            (380, 379, True),  # 0.25 points
        ]
    ),
)
def test_floor_and_margin_decide_over_all_examples(
    fit: int, loop: int, blessed: bool, tmp_path: Path
) -> None:
    overrides = ["comparison.margin=0.5", "comparison.slices=[[label]]"]
    config = eval_config(load_recipe("standard", overrides), IMAGES)
    features = {"label": LABELS}
    found = evaluate(config, LABELS, features, outputs(fit), outputs(loop), tmp_path)
    assert found.blessed is blessed
    for model, right in ((BASELINE, fit), (CANDIDATE, loop)):
        assert found.figure((), "accuracy", model) == pytest.approx(right / 400)
        assert found.figure((("label", 0),), "example_count", model) == 100


@pytest.mark.in_turn(3)
def test_one_bad_slice_withholds_nothing(tmp_path: Path) -> None:
    worse = outputs(400)
    worse[[0, 4]] = np.eye(4, dtype=np.float32)[3]  # two of label 0, two points on its slice
    overrides = ["comparison.margin=0.6", "comparison.slices=[[label]]"]
    config = eval_config(load_recipe("standard", overrides), IMAGES)
    features = {"label": LABELS}
    found = evaluate(config, LABELS, features, outputs(400), worse, tmp_path)
    assert found.figure((("label", 0),), "accuracy", CANDIDATE) == pytest.approx(0.98)
    assert found.blessed


@pytest.mark.parametrize(("shift", "blessed"), dealt_out([(0.0, True), (0.6, False)], first=1))
def test_the_metric_that_is_compared_decides(shift: float, blessed: bool, tmp_path: Path) -> None:
    """Of counts that is the deviance, not the loss, which is about half of it."""
    counts = np.arange(100) % 4
    fit = np.maximum(counts, 0.25).astype(np.float32)[:, None]
    statement = Statement(Counts(), ("visits",), "visits", ("visits",))
    recipe = load_recipe("standard", ["comparison.margin=0.1", "comparison.threshold=null"])
    config = eval_config(recipe, statement)
    found = evaluate(config, counts, {}, fit, fit + np.float32(shift), tmp_path)
    expected = statement.task.scores(counts, fit + np.float32(shift)).mean()
    assert found.figure((), "score", CANDIDATE) == pytest.approx(expected)
    assert found.blessed is blessed
