from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.evaluator import CANDIDATE, eval_config
from components.paired_metric import COUNTED, FIGURES, PREFIX, counted
from tests.components.tfma_runs import evaluate
from twintrain.problems.statement import IMAGES, Statement
from twintrain.problems.task import Regression
from twintrain.recipe.files import load_recipe
from twintrain.statistics.paired import paired_estimate, paired_table

CLASSES = 3


def test_tfma_yields_the_paired_figures_for_slices_and_crosses(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, ink = rng.integers(CLASSES, size=120), rng.integers(2, size=120)
    fit, loop = (rng.uniform(size=(120, CLASSES)).astype(np.float32) for _ in range(2))
    loop[5] = np.nan
    recipe = load_recipe("standard", ["comparison.slices=[[label],[label,ink]]"])
    config = eval_config(recipe, IMAGES)
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
        both = table.both_right
        assert metrics[f"{PREFIX}both_right"] == both
        found_scores = counted(metrics)
        assert found_scores.n == table.n
        assert found_scores.fit_score == pytest.approx((both + table.only_fit) / table.n)
        assert found_scores.loop_score == pytest.approx((both + table.only_loop) / table.n)
        assert metrics[f"{PREFIX}n"] == chosen.sum()
        assert metrics[f"{PREFIX}mcnemar_p"] == pytest.approx(table.mcnemar_p, abs=1e-9)
        assert metrics[f"{PREFIX}difference"] == pytest.approx(
            right[1][chosen].mean() - right[0][chosen].mean()
        )
        assert metrics[f"{PREFIX}low"] == pytest.approx(table.estimate().low, abs=1e-9)
        assert {f"{PREFIX}{figure}" for figure in (*FIGURES, *COUNTED)} <= set(metrics)


def test_errors_are_paired_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=60).astype(np.float32)
    fit, loop = (truth[:, None] + rng.normal(size=(60, 1)).astype(np.float32) for _ in range(2))
    recipe = load_recipe("standard", ["comparison.margin=0.1", "comparison.threshold=null"])
    statement = Statement(Regression("m"), "height", "height", ("height",), ("side",), (("side",),))
    side = np.arange(60) % 2
    found = evaluate(eval_config(recipe, statement), truth, {"side": side}, fit, loop, tmp_path)
    for key, figures in found.figures.items():
        chosen = side == key[0][1] if key else np.ones(60, bool)
        errors = [np.abs(one[chosen, 0] - truth[chosen]) for one in (fit, loop)]
        ours = paired_estimate((errors[1] - errors[0])[None].astype(np.float64), bounded=False)
        of_pair = {name: value for (model, name), value in figures.items() if model == CANDIDATE}
        assert counted(of_pair).fit_score == pytest.approx(errors[0].mean())
        assert of_pair["mae"] == pytest.approx(errors[1].mean(), rel=1e-5)
        for name, expected in (
            ("difference", ours.difference),
            ("low", ours.low),
            ("high", ours.high),
        ):
            assert of_pair[f"{PREFIX}{name}"] == pytest.approx(expected, abs=1e-6)
