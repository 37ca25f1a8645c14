"""Slices: which there are, what is estimated on each, and when the Evaluator contradicts."""

from __future__ import annotations

import numpy as np
import pytest

from twintrain.comparison.comparison import Counted
from twintrain.comparison.predictions import PairedPredictions
from twintrain.comparison.slices import (
    OVERALL,
    Rules,
    check_against_evaluator,
    compare_slices,
    masks,
    remarks,
    slice_name,
)
from twintrain.data.example_spec import labelled_images
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.problems.metric import ACCURACY
from twintrain.problems.task import Choices, Classification, Regression
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.statistics.paired import holm, paired_estimate, paired_table

LABELS = np.array([0, 0, 1, 1, 1, 2])
INK = np.array([0, 2, 0, 0, 2, 2])
VALUES = {"label": LABELS, "ink": INK}
CROSSED = "comparison.slices=[[label],[ink],[label,ink]]"
CPUS = {"fit": ["CPU"], "loop": ["CPU"]}


def recipe_with(*overrides: str) -> Recipe:
    return load_recipe("standard", list(overrides))


def rules_of(recipe: Recipe) -> Rules:
    return Rules(ACCURACY, 0.1, recipe.seeds)


def problem_of(recipe: Recipe, labels: int = 3):
    return find_problem(recipe, labelled_images((28, 28, 1), labels))


def predictions(fit: list[list[int]], loop: list[list[int]], lead: float = 1.0):
    """Of two twins that are right (1) or wrong (0), [seeds][examples]."""
    scores = {"fit": np.array(fit, np.float64), "loop": np.array(loop, np.float64)}
    examples = scores["fit"].shape[1]
    leads = np.full(examples, lead, np.float32)
    choice = Choices(np.zeros(examples, np.int64), leads, leads)
    return PairedPredictions(
        ids=np.array([f"e{row}" for row in range(examples)], np.bytes_),
        targets=np.zeros(examples, np.int64),
        scores=scores,
        choices={twin: [choice] * len(rows) for twin, rows in scores.items()},
        judge=Classification(),
        leads={twin: [leads] * len(rows) for twin, rows in scores.items()},
    )


def test_every_combination_with_examples_is_a_slice() -> None:
    recipe = recipe_with(CROSSED)
    found = masks(recipe, problem_of(recipe), VALUES, LABELS)
    assert {name: mask.sum() for name, mask in found.items()} == {
        "overall": 6,
        "label=0": 2,
        "label=1": 3,
        "label=2": 1,
        "ink=light": 3,
        "ink=heavy": 3,
        "label=0 ink=light": 1,
        "label=0 ink=heavy": 1,
        "label=1 ink=light": 2,
        "label=1 ink=heavy": 1,
        "label=2 ink=heavy": 1,  # and no label=2 ink=light: there is none
    }
    np.testing.assert_array_equal(
        found["label=1 ink=light"], [False, False, True, True, False, False]
    )


def test_names_are_given_in_the_problems_order() -> None:
    recipe = recipe_with("comparison.label_names=[zero,one,two]")
    named = problem_of(recipe)
    assert slice_name(recipe, named, {"ink": 1, "label": 2}) == "label=two ink=medium"
    assert slice_name(recipe, named, {}) == OVERALL


def test_each_slice_has_its_own_estimate_and_holm_leaves_the_whole_alone() -> None:
    recipe = recipe_with("seeds=[0,1]", "comparison.slices=[[label]]")
    rng = np.random.default_rng(1)
    values = {"label": np.arange(300) % 3, "ink": np.zeros(300, int)}
    fit, loop = rng.random((2, 2, 300)) < np.array([0.5, 0.8])[:, None, None]
    both = predictions(fit.astype(int).tolist(), loop.astype(int).tolist())
    chosen = masks(recipe, problem_of(recipe), values, values["label"])
    found = compare_slices(rules_of(recipe), both, chosen, identical=False)
    raw = [paired_estimate(both.differences[:, mask]) for mask in chosen.values()]
    expected = [raw[0].p_value, *holm([estimate.p_value for estimate in raw[1:]])]
    assert [part.p_value for part in found] == expected
    for part, estimate, mask in zip(found, raw, chosen.values(), strict=True):
        assert part.n == mask.sum()
        assert part.difference == pytest.approx(100 * estimate.difference)
        assert part.ci95 == pytest.approx((100 * estimate.low, 100 * estimate.high))
        assert part.fit_score == pytest.approx(fit[:, mask].mean())
        assert [one.loop_score for one in part.seeds] == pytest.approx(
            loop[:, mask].mean(axis=1).tolist()
        )
        first = paired_table(fit[0, mask], loop[0, mask])
        assert vars(part.table) == vars(first)


def test_identical_leaves_no_doubt_and_equal_predictions_alone_do() -> None:
    recipe = recipe_with("seeds=[0]")
    same = predictions([[1, 1, 0, 1, 1, 1]], [[1, 1, 0, 1, 1, 1]])
    chosen = masks(recipe, problem_of(recipe), VALUES, LABELS)
    known, *_ = compare_slices(rules_of(recipe), same, chosen, identical=True)
    assert (known.verdict, known.ci95, known.p_value) == ("identical", (0.0, 0.0), 1.0)
    guessed, *_ = compare_slices(rules_of(recipe), same, chosen, identical=False)
    assert guessed.verdict == "inconclusive"
    assert guessed.ci95[0] < 0 < guessed.ci95[1]


@pytest.mark.parametrize(
    ("flipped", "lead", "devices", "refused"),
    [
        (1, 1.0, CPUS, False),  # serving computes in another batch size
        (2, 1.0, CPUS, True),
        (2, 0.01, CPUS, True),  # a CPU's near ties do not tip over
        (2, 0.01, {"fit": ["CPU"], "loop": ["GPU"]}, False),
        (2, 1.0, {"fit": ["GPU"], "loop": ["GPU"]}, True),
    ],
)
def test_the_evaluator_may_differ_by_near_ties_only(
    flipped: int, lead: float, devices: dict, refused: bool
) -> None:
    recipe = recipe_with("seeds=[0]", "comparison.slices=[]")
    one = [1, 1, 1, 1, 0, 1]
    both = predictions([one], [one], lead)
    chosen = masks(recipe, problem_of(recipe), VALUES, LABELS)
    slices = compare_slices(rules_of(recipe), both, chosen, identical=False)
    served = np.array(one, bool)
    served[:flipped] = False
    measured = {OVERALL: Counted(n=6, fit_score=np.mean(one), loop_score=served.mean())}
    if not refused:
        check_against_evaluator(both, ACCURACY, chosen, slices, measured, devices)
        return
    with pytest.raises(TwintrainError, match=r"loop model has 50.00% .*, its trainer 83.33%"):
        check_against_evaluator(both, ACCURACY, chosen, slices, measured, devices)


def test_a_slice_that_the_evaluator_has_not_or_counts_otherwise_is_a_contradiction() -> None:
    recipe = recipe_with("seeds=[0]", "comparison.slices=[]")
    both = predictions([[1] * 6], [[1] * 6])
    chosen = masks(recipe, problem_of(recipe), VALUES, LABELS)
    slices = compare_slices(rules_of(recipe), both, chosen, identical=False)
    fewer = Counted(n=5, fit_score=1.0, loop_score=1.0)
    for measured in ({}, {OVERALL: fewer}):
        with pytest.raises(TwintrainError, match="model has nothing"):
            check_against_evaluator(both, ACCURACY, chosen, slices, measured, CPUS)


@pytest.mark.parametrize(("device", "refused"), [("CPU", True), ("GPU", False)])
def test_of_errors_serving_may_differ_by_rounding_only(device: str, refused: bool) -> None:
    errors = {twin: np.array([[2.0, 4.0, 3.0]]) for twin in ("fit", "loop")}
    both = PairedPredictions(np.array([b"a", b"b", b"c"]), np.zeros(3), errors, {}, Regression())
    metric = Regression("minutes").metric
    chosen = {OVERALL: np.ones(3, bool)}
    slices = compare_slices(Rules(metric, 0.1, (0,)), both, chosen, identical=False)
    assert slices[0].table is None
    devices = {twin: [device] for twin in ("fit", "loop")}
    close = {OVERALL: Counted(n=3, fit_score=3.0001, loop_score=3.0)}
    check_against_evaluator(both, metric, chosen, slices, close, devices)
    off = {OVERALL: Counted(n=3, fit_score=3.01, loop_score=3.0)}
    if not refused:
        check_against_evaluator(both, metric, chosen, slices, off, devices)
        return
    with pytest.raises(TwintrainError, match=r"fit model has 3\.01 minutes"):
        check_against_evaluator(both, metric, chosen, slices, off, devices)


def test_of_errors_the_smaller_one_wins() -> None:
    rng = np.random.default_rng(0)
    errors = np.abs(rng.normal(size=(3, 400)))
    both = PairedPredictions(
        np.array([b"x"] * 400),
        np.zeros(400),
        {"fit": errors, "loop": errors + 0.5},
        {},
        Regression(),
    )
    rules = Rules(Regression("minutes").metric, 0.1, (0, 1, 2))
    (whole,) = compare_slices(rules, both, {OVERALL: np.ones(400, bool)}, identical=False)
    assert whole.verdict == "fit_better"
    assert whole.difference == pytest.approx(0.5)


def test_small_slices_and_labels_without_examples_are_said() -> None:
    recipe = recipe_with("seeds=[0]", "comparison.slices=[[label]]")
    problem = problem_of(recipe, 4)
    both = predictions([[1] * 6], [[1] * 6])
    chosen = masks(recipe, problem, VALUES, LABELS)
    slices = compare_slices(rules_of(recipe), both, chosen, identical=True)
    data = {
        "train": {"labels": {"0": 5, "3": 5}},
        "eval": {"labels": {"0": 2, "1": 3, "2": 1}},
    }
    assert list(remarks(recipe, problem, slices, data, {})) == [
        "No test example has label=3: nothing can be said about it.",
        "Slices of fewer than 30 test examples tell little by themselves: overall (6), label=0 "
        "(2), label=1 (3), label=2 (1).",
    ]
