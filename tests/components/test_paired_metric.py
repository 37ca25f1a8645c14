from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.evaluator import CANDIDATE, eval_config
from components.paired_metric import FIGURES, PREFIX, table_from
from tests.components.tfma_runs import evaluate
from twintrain.problems.image_classification import ImageClassification
from twintrain.recipe.sections import ComparisonRules
from twintrain.statistics.paired import paired_table

CLASSES = 3


def test_tfma_yields_the_paired_figures_for_slices_and_crosses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, ink = rng.integers(CLASSES, size=120), rng.integers(2, size=120)
    fit, loop = (rng.uniform(size=(120, CLASSES)).astype(np.float32) for _ in range(2))
    loop[5] = np.nan
    rules = ComparisonRules(slices=(("label",), ("label", "ink")))
    config = eval_config(rules, ImageClassification)
    features = {"label": labels, "ink": ink}
    evaluated = evaluate(config, labels, features, fit, loop, tmp_path)
    found = {
        key: {name: value for (model, name), value in figures.items() if model == CANDIDATE}
        for key, figures in evaluated.figures.items()
    }
    assert set(found) == {(), *(((("label", x),)) for x in range(3))} | {
        (("ink", y), ("label", x)) for x in range(3) for y in range(2)
    }
    right = (
        fit.argmax(axis=1) == labels,
        (loop.argmax(axis=1) == labels) & ~np.isnan(loop).any(axis=1),
    )
    for key, metrics in found.items():
        chosen = np.ones(120, bool)
        for feature, value in key:
            chosen &= {"label": labels, "ink": ink}[feature] == value
        table = paired_table(right[0][chosen], right[1][chosen])
        assert table_from(metrics) == table
        assert metrics[f"{PREFIX}n"] == chosen.sum()
        assert metrics[f"{PREFIX}mcnemar_p"] == pytest.approx(table.mcnemar_p, abs=1e-9)
        assert metrics[f"{PREFIX}difference"] == pytest.approx(
            right[1][chosen].mean() - right[0][chosen].mean()
        )
        assert metrics[f"{PREFIX}low"] == pytest.approx(table.estimate().low, abs=1e-9)
        assert {f"{PREFIX}{figure}" for figure in FIGURES} <= set(metrics)
