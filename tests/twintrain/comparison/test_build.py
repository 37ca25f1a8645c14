"""A comparison from the records of two twins, made by hand so that every figure is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.twintrain.comparison.records import inputs
from twintrain.comparison.build import Inputs, build_comparison
from twintrain.comparison.comparison import Counted
from twintrain.data.example_spec import labelled_images
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe


def counting(given: Inputs, counted: dict[str, Counted]) -> Inputs:
    """The same with an Evaluator that counted otherwise."""
    assert given.pipeline is not None
    return replace(given, pipeline=replace(given.pipeline, evaluator=counted))


def test_equal_twins_are_identical_in_every_slice(tmp_path: Path) -> None:
    missed = {0: [3, 5], 1: [7], 2: []}
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard"), missed, missed))
    assert comparison.verdict == "identical"
    assert comparison.gap == 0
    assert {part.verdict for part in comparison.slices} == {"identical"}
    assert [part.name for part in comparison.slices][:2] == ["overall", "label=0"]
    assert comparison.twins["fit"].scores == [0.99, 0.995, 1.0]
    assert "exactly 0" in comparison.sentence


def test_a_way_of_training_of_ones_own_is_called_by_its_name(tmp_path: Path) -> None:
    recipe = load_recipe("standard", ["twins.loop=train_step"])
    found = build_comparison(inputs(tmp_path, recipe))
    assert found.sentence.startswith("Keras fit and train_step are the same: on 200 test examples")


def test_a_worse_loop_is_called_worse(tmp_path: Path) -> None:
    worse = {seed: list(range(0, 60)) for seed in (0, 1, 2)}
    comparison = build_comparison(
        inputs(tmp_path, load_recipe("bare"), {}, worse, weights_differ_by=0.1)
    )
    assert comparison.verdict == "fit_better"
    assert comparison.gap == pytest.approx(-30)
    assert comparison.gap_ci95[1] < 0
    assert "training.shuffle=false" in comparison.sentence


def test_equal_predictions_of_different_weights_are_not_identical(tmp_path: Path) -> None:
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard"), weights_differ_by=1e-6))
    assert (
        comparison.verdict == "inconclusive"
    )  # 200 examples cannot show equivalence within 0.1 points
    assert comparison.gap_ci95[0] < 0 < comparison.gap_ci95[1]
    assert "and yet weights differ by up to 1.0e-06." in comparison.sentence


def test_without_determinism_rounding_is_named_for_weights_that_differ(tmp_path: Path) -> None:
    recipe = load_recipe("standard", ["execution.deterministic=false"])
    comparison = build_comparison(inputs(tmp_path, recipe, weights_differ_by=1e-6))
    assert (
        "saw the same batches, and weights differ by up to 1.0e-06: with execution.det"
        in comparison.sentence
    )


def test_the_evaluator_may_see_near_ties_of_a_gpu_otherwise(tmp_path: Path) -> None:
    """It runs on a CPU what a GPU has predicted with other rounding."""
    given = inputs(tmp_path, load_recipe("standard"))
    counted = {
        name: Counted(n=table.n, fit_score=1 - 2 / table.n, loop_score=1 - 2 / table.n)
        for name, table in given.pipeline.evaluator.items()
    }
    with pytest.raises(TwintrainError, match=r"has 99\.00% \(accuracy\), its trainer 100\.00%"):
        build_comparison(counting(given, counted))
    for path in tmp_path.glob("*/seed-0/predictions.npz"):
        with np.load(path) as saved:
            files = dict(saved)
        files["probabilities"] = 0.49 * files["probabilities"] + 0.48 * np.roll(
            files["probabilities"], 1, axis=1
        )
        np.savez(path, **files)
    with pytest.raises(TwintrainError, match=r"has 99\.00%"):
        build_comparison(
            counting(given, counted)
        )  # on one kind of device nothing rounds so differently
    for path in tmp_path.glob("*/seed-0/record.json"):
        path.write_text(path.read_text().replace('"CPU"', '"GPU"'))
    assert build_comparison(counting(given, counted)).evaluator.fit_score == 0.99


def test_one_seed_says_that_seeds_were_not_varied(tmp_path: Path) -> None:
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard", ["seeds=[0]"])))
    assert "seeds were not varied" in comparison.sentence


def test_nan_a_missing_twin_and_contradictions_are_refused(tmp_path: Path) -> None:
    recipe = load_recipe("standard")
    given = inputs(tmp_path, recipe)
    path = tmp_path / "loop" / "seed-1" / "predictions.npz"
    whole = path.read_bytes()
    with np.load(path) as saved:
        content = dict(saved)
    np.savez(path, **(content | {"probabilities": np.full((200, 10), np.nan, np.float32)}))
    with pytest.raises(TwintrainError, match="loop twin with seed 1 predicts NaN"):
        build_comparison(given)
    np.savez(path, **(content | {"labels": content["labels"][::-1]}))
    with pytest.raises(TwintrainError, match="other test examples"):
        build_comparison(given)
    path.unlink()
    with pytest.raises(TwintrainError, match="no predictions for seed 1"):
        build_comparison(given)
    path.write_bytes(whole)
    given.pipeline.evaluator["label=3"] = Counted(n=20, fit_score=0.5, loop_score=0.5)
    with pytest.raises(TwintrainError, match=r"slice label=3"):
        build_comparison(given)


def test_crosses_small_slices_and_absent_classes_are_said(tmp_path: Path) -> None:
    recipe = load_recipe("bare", ["comparison.slices=[[label, ink]]"])
    eleven = find_problem(recipe, labelled_images((28, 28, 1), 11))
    given = replace(inputs(tmp_path, recipe, {}, {0: [4]}, 0.1), problem=eleven)
    given.data["train"] = {"examples": 205, "labels": given.data["train"]["labels"] | {"10": 5}}
    comparison = build_comparison(given)
    assert [part.name for part in comparison.slices[1:3]] == [
        "label=0 ink=light",
        "label=0 ink=medium",
    ]
    assert sum(part.n for part in comparison.slices[1:]) == 200
    assert comparison.notes[0] == "No test example has label=10: nothing can be said about it."
    assert comparison.notes[1].startswith(
        "Slices of fewer than 30 test examples tell little by themselves"
    )


def test_mistakes_are_counted_over_all_seeds(tmp_path: Path) -> None:
    comparison = build_comparison(
        inputs(tmp_path, load_recipe("bare"), {0: [3]}, {0: [3], 1: [3, 13], 2: [5]}, 0.1)
    )
    assert sum(map(sum, comparison.confusion.loop)) == 600
    assert comparison.confusion.loop[3][4] == 3
    assert comparison.confusion.fit[3][4] == 1
    assert comparison.disagreement_count == 3
    assert {(d.example_id, d.seed, d.fit, d.loop) for d in comparison.disagreements} == {
        ("eval-00000003", 1, 3, 4),
        ("eval-00000013", 1, 3, 4),
        ("eval-00000005", 2, 5, 6),
    }


def test_without_the_pipeline_nothing_is_said_of_it(tmp_path: Path) -> None:
    given = replace(
        inputs(tmp_path, load_recipe("standard")), pipeline=None, lockstep=None, trials={}
    )
    comparison = build_comparison(given)
    assert comparison.verdict == "identical"
    assert comparison.evaluator is None
    assert comparison.push is None
    assert comparison.parity.lockstep is None
    assert comparison.twins["loop"].trials == []
