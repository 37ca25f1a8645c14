from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from components.evaluator import CANDIDATE, eval_config
from components.paired_metric import COUNTED, FIGURES, PREFIX, counted
from components.report import evaluator_counts
from tests.components.tfma_runs import evaluate
from tests.turns import dealt_out
from twintrain.data.example_spec import Column, ExampleSpec
from twintrain.problems.statement import IMAGES, Statement
from twintrain.problems.task import BinaryClassification, MultiLabel, Regression
from twintrain.problems.user_problem import UserProblem, problem_in
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


@pytest.mark.in_turn(3)
def test_errors_are_paired_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=60).astype(np.float32)
    fit, loop = (truth[:, None] + rng.normal(size=(60, 1)).astype(np.float32) for _ in range(2))
    recipe = load_recipe("standard", ["comparison.margin=0.1", "comparison.threshold=null"])
    statement = Statement(
        Regression("m"), ("height",), "height", ("height",), ("side",), (("side",),)
    )
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


@pytest.mark.in_turn(4)
def test_a_metric_that_does_not_add_up_is_paired_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    late = rng.integers(2, size=90)
    fit, loop = (
        np.clip(0.3 * late + 0.6 * rng.random(90), 0, 1).astype(np.float32)[:, None]
        for _ in range(2)
    )
    place = np.arange(90) % 3
    late[place == 2] = 1  # there is no area without either class
    recipe = load_recipe("standard", ["comparison.margin=0.01", "comparison.threshold=null"])
    judge = BinaryClassification(metric="auc")
    statement = Statement(judge, ("late",), "late", ("late",), ("place",), (("place",),))
    evaluated = evaluate(
        eval_config(recipe, statement), late, {"place": place}, fit, loop, tmp_path
    )
    for key, figures in evaluated.figures.items():
        of_pair = {name: value for (model, name), value in figures.items() if model == CANDIDATE}
        chosen = place == key[0][1] if key else np.ones(90, bool)
        assert of_pair[f"{PREFIX}n"] == chosen.sum()
        if key and key[0][1] == 2:
            assert np.isnan(of_pair[f"{PREFIX}difference"])
            continue
        scores = [judge.scores(late[chosen], one[chosen]) for one in (fit, loop)]
        ours = paired_estimate((scores[1] - scores[0])[None], bounded=False)
        assert counted(of_pair).fit_score == pytest.approx(scores[0].mean())
        assert of_pair["score"] == pytest.approx(scores[1].mean())
        found = [of_pair[f"{PREFIX}{name}"] for name in ("difference", "low", "high")]
        assert found == pytest.approx([ours.difference, ours.low, ours.high])
    # A report leaves out the slices that have no such figure.
    columns = (Column("place", (), "int64", 3),)
    spec = ExampleSpec(inputs=columns, target=Column("late", (), "int64"), classes=2)
    module = ModuleType("late")
    said = {"TASK": "binary", "LABEL": "late", "METRIC": "auc", "SLICES": (("place",),)}
    vars(module).update(said)
    problem = UserProblem(problem_in(module), spec)
    told = evaluator_counts(str(tmp_path / "tfma"), recipe, problem)
    assert set(told) == {"overall", "place=0", "place=1"}
    assert told["overall"].n == 90


@pytest.mark.parametrize("metric", dealt_out(["label_accuracy", "exact_match", "auc"], first=2))
def test_several_labels_are_paired_too(metric: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    has = rng.integers(2, size=(60, 3))
    fit, loop = (
        np.clip(0.3 * has + 0.6 * rng.random((60, 3)), 0, 1).astype(np.float32) for _ in range(2)
    )
    side = np.arange(60) % 2
    recipe = load_recipe("standard", ["comparison.margin=0.1", "comparison.threshold=null"])
    judge = MultiLabel(metric=metric)
    names = ("pain", "fever", "rash")
    statement = Statement(judge, names, "target", names, ("side",), (("side",),))
    found = evaluate(eval_config(recipe, statement), has, {"side": side}, fit, loop, tmp_path)
    for key, figures in found.figures.items():
        of_pair = {name: value for (model, name), value in figures.items() if model == CANDIDATE}
        chosen = side == key[0][1] if key else np.ones(60, bool)
        scores = [judge.scores(has[chosen], one[chosen]) for one in (fit, loop)]
        assert counted(of_pair).fit_score == pytest.approx(scores[0].mean())
        assert of_pair["score"] == pytest.approx(scores[1].mean())
        # Keras's own, logged in training, is the share of labels that are told right.
        right = ((loop[chosen] > 0.5) == has[chosen]).mean()
        assert of_pair["accuracy"] == pytest.approx(right)
