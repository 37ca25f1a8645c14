"""What is read from both twins' records, and which records do not belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.twintrain.training.records import write_record
from twintrain.comparison.predictions import PairedPredictions, load_predictions
from twintrain.errors import TwintrainError
from twintrain.problems.statement import IMAGES
from twintrain.recipe.files import load_recipe
from twintrain.training.seed_record import SeedRecord

RECIPE = load_recipe("standard", ["seeds=[0,1]"])
TARGETS = np.array([0, 1, 2, 1])
SURE = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.5, 0.4, 0.1]], np.float32)


def both(folder: Path, outputs: dict[tuple[str, int], np.ndarray]) -> PairedPredictions:
    for twin in ("fit", "loop"):
        for seed in RECIPE.seeds:
            place = SeedRecord.place(folder / twin, seed)
            given = outputs.get((twin, seed), SURE)
            write_record(place, twin=twin, seed=seed, targets=TARGETS, outputs=given)
    return load_predictions(RECIPE, IMAGES.task, {twin: folder / twin for twin in ("fit", "loop")})


def test_scores_choices_and_differences_are_by_seed(tmp_path: Path) -> None:
    found = both(tmp_path, {("loop", 1): SURE[::-1].copy()})
    np.testing.assert_array_equal(found.scores["fit"], [[1, 1, 1, 0]] * 2)
    np.testing.assert_array_equal(found.right["loop"], [[1, 1, 1, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(found.differences, [[0, 0, 0, 0], [0, -1, -1, 0]])
    np.testing.assert_array_equal(found.chosen("loop")[1], [0, 2, 1, 0])
    np.testing.assert_allclose(found.confidence("fit")[0], [0.7, 0.8, 0.6, 0.5])
    np.testing.assert_allclose(found.choices["fit"][0].lead, [0.5, 0.7, 0.4, 0.1], atol=1e-6)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_twin_that_diverged_is_named(tmp_path: Path, broken: float) -> None:
    bad = SURE.copy()
    bad[2] = broken
    with pytest.raises(TwintrainError, match=r"loop twin with seed 1 .* 1 of 4 examples"):
        both(tmp_path, {("loop", 1): bad})


def test_other_test_examples_and_a_missing_record_are_refused(tmp_path: Path) -> None:
    both(tmp_path, {})
    write_record(
        SeedRecord.place(tmp_path / "loop", 0),
        twin="loop",
        seed=0,
        targets=TARGETS[::-1].copy(),
        outputs=SURE,
    )
    folders = {twin: tmp_path / twin for twin in ("fit", "loop")}
    with pytest.raises(TwintrainError, match="made from other test examples"):
        load_predictions(RECIPE, IMAGES.task, folders)
    with pytest.raises(TwintrainError):
        load_predictions(RECIPE, IMAGES.task, {**folders, "loop": tmp_path / "nowhere"})
