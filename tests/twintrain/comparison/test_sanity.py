"""What a reader is told first: that nothing was learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.twintrain.comparison.records import LABELS, inputs
from tests.twintrain.training.records import write_record
from twintrain.comparison.build import build_comparison
from twintrain.comparison.sanity import _signs_of_classes, _signs_of_numbers, _told, warnings_of
from twintrain.recipe.files import load_recipe
from twintrain.training.seed_record import SeedRecord

RECIPE = load_recipe("standard", ["seeds=[0,1]"])


def told(folder: Path, outputs: np.ndarray, loss: list[float] | None = None) -> list[str]:
    """The warnings where both twins predict this with every seed."""
    given = inputs(folder, RECIPE)
    for twin, records in given.records.items():
        for seed in RECIPE.seeds:
            place = SeedRecord.place(records, seed)
            write_record(place, twin=twin, seed=seed, targets=LABELS, outputs=outputs)
    summaries = build_comparison(replace(given, pipeline=None)).twins
    if loss is not None:
        history = [{"loss": loss}] * len(RECIPE.seeds)
        summaries = {
            name: one.model_copy(update={"history": history}) for name, one in summaries.items()
        }
    return warnings_of(RECIPE, given.problem, given.records, summaries)


def choosing(classes: np.ndarray) -> np.ndarray:
    """Probabilities by which these are chosen, not alike from row to row."""
    noise = np.random.default_rng(0).uniform(0, 0.01, (len(classes), 10))
    return (np.eye(10)[classes] * 0.5 + noise).astype(np.float32)


def test_twins_that_learned_are_not_warned_of(tmp_path: Path) -> None:
    comparison = build_comparison(inputs(tmp_path, RECIPE, {0: [1, 2]}, {0: [1, 2]}))
    assert comparison.warnings == []


def test_labels_that_belong_to_other_inputs(tmp_path: Path) -> None:
    (text,) = told(tmp_path, choosing((LABELS + 1) % 10))
    assert text.startswith("Both twins: 0.0% of the test examples are classified right")
    assert "guessing gives 10.0%" in text


def test_guessing_is_no_sign_by_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    assert told(tmp_path, choosing(rng.integers(0, 10, len(LABELS)))) == []


def test_one_class_for_all_and_one_answer_for_all(tmp_path: Path) -> None:
    (text,) = told(tmp_path, choosing(np.full(len(LABELS), 4)))
    assert text == "Both twins: every test example is given the same class."
    (text,) = told(tmp_path, np.tile(choosing(np.array([4])), (len(LABELS), 1)))
    assert "every test example is predicted alike" in text


@pytest.mark.parametrize(
    ("loss", "warned"),
    [([1.0, 2.0, 1.5], True), ([1.0, 2.0, 0.9], False), ([1.0], False), ([1.0, 1.0], False)],
)
def test_a_loss_that_only_rose(loss: list[float], warned: bool, tmp_path: Path) -> None:
    found = told(tmp_path, choosing(LABELS), loss)
    assert bool(found) == warned
    assert all("rises from the first epoch" in text for text in found)


def test_whose_it_is_and_how_often(tmp_path: Path) -> None:
    given = inputs(tmp_path, RECIPE)
    place = SeedRecord.place(given.records["loop"], 1)
    outputs = choosing(np.full(len(LABELS), 4))
    write_record(place, twin="loop", seed=1, targets=LABELS, outputs=outputs)
    summaries = build_comparison(replace(given, pipeline=None)).twins
    (text,) = warnings_of(RECIPE, given.problem, given.records, summaries)
    assert text.startswith("Loop with 1 of 2 seeds: every test example is given")


def test_numbers_that_are_worse_than_their_mean() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=400)
    noise = rng.normal(size=(400, 1)).astype(np.float32)
    assert list(_signs_of_numbers(targets, targets[:, None].astype(np.float32) + noise / 4)) == []
    assert list(_signs_of_numbers(targets, 0.01 * noise)) == []  # as the mean: nothing is claimed
    ((text, _),) = _signs_of_numbers(targets, 3 * noise)
    assert "larger than those of always predicting the mean" in text


def test_each_twin_is_told_for_itself() -> None:
    one_each = {"fit": [0.02, 0.04, 0.03], "loop": [0.07]}
    told = _told("{:.1%} are right", one_each, 3)
    assert told == "Fit with 3 of 3 and loop with 1 of 3 seeds: 4.0% are right"
    assert _told("all alike", {"fit": [0, 0], "loop": [0, 0]}, 2) == "Both twins: all alike"


def test_a_rare_class_that_is_never_chosen_is_no_fault_of_probabilities() -> None:
    targets, chosen = np.array([0] * 95 + [1] * 5), np.zeros(100, np.int64)
    assert list(_signs_of_classes(targets, chosen, 2, chosen_counts=False)) == []
    assert len(list(_signs_of_classes(targets, chosen, 2, chosen_counts=True))) == 1
