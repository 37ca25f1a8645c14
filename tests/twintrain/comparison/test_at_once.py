"""Both twins trained at the same time come out as one after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import twintrain
from twintrain.comparison import at_once
from twintrain.comparison.at_once import can_train_at_once, train_at_once
from twintrain.data.example_store import ExampleStore
from twintrain.errors import TwintrainError
from twintrain.recipe.recipe import TWINS, Recipe
from twintrain.training.seed_record import SeedRecord
from twintrain.training.seeds import SeedsJob, Splits, train_seeds

SPEC = twintrain.labelled_images((28, 28, 1), 10)
RECIPE = ["seeds=[0,1]", "training.epochs=1", "model.name=mlp", "loop.training.shuffle=false"]


def jobs_of(recipe: Recipe, folder: Path) -> list[SeedsJob]:
    return [SeedsJob(twin, recipe.for_twin(twin), folder / twin, folder) for twin in TWINS]


@pytest.fixture
def splits(small_train: ExampleStore, small_test: ExampleStore) -> Splits:
    return Splits.of(twintrain.load_recipe("standard", RECIPE), small_train, small_test)


@pytest.mark.in_turn(4)
def test_the_trainings_are_those_of_one_process_and_say_so(splits: Splits, tmp_path: Path) -> None:
    recipe = twintrain.load_recipe("standard", RECIPE)
    problem = twintrain.find_problem(recipe, SPEC)
    told: list[tuple[str, int, int, str]] = []
    jobs = jobs_of(recipe, tmp_path / "both")
    train_at_once(jobs, problem, splits, tmp_path, lambda *about: told.append(about))
    for twin in TWINS:
        mine = [about for about in told if about[0] == twin]
        assert [about[1:3] for about in mine] == [(1, 2), (2, 2)]
        assert "seed 1, epoch 1/1" in mine[1][3]
    for job in jobs_of(recipe, tmp_path / "alone"):
        train_seeds(job, problem, splits, lambda *_: None)
    for twin in TWINS:
        for seed in recipe.seeds:
            both, alone = (
                SeedRecord.read(SeedRecord.place(tmp_path / how / twin, seed))
                for how in ("both", "alone")
            )
            assert (both.figures.at_once, alone.figures.at_once) == (True, False)
            assert both.figures.history == alone.figures.history
            assert np.array_equal(both.fingerprints, alone.fingerprints)
            for one, other in zip(both.weights, alone.weights, strict=True):
                assert np.array_equal(one, other)


@pytest.mark.in_turn(4)
def test_one_that_diverges_ends_the_other(splits: Splits, tmp_path: Path) -> None:
    recipe = twintrain.load_recipe(
        "standard",
        [
            "model.name=mlp",
            "training.epochs=1000",
            "optimizer.name=sgd",
            "regularization.l2=1",
            "loop.optimizer.learning_rate=100",
        ],
    )
    problem = twintrain.find_problem(recipe, SPEC)
    told: list[tuple[str, int, int, str]] = []
    jobs = jobs_of(recipe, tmp_path)
    with pytest.raises(TwintrainError, match="the loop twin with seed 0 is not a number"):
        train_at_once(jobs, problem, splits, tmp_path, lambda *about: told.append(about))
    # What is no epoch is told, too.
    assert any("its steps are taken again to find where" in about[3] for about in told)
    assert not list(tmp_path.glob("fit/*/record.json"))


def test_it_is_not_done_where_it_cannot_be_or_is_not_worth_it(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = twintrain.load_recipe("standard", RECIPE)
    jobs, problem = jobs_of(recipe, tmp_path), twintrain.find_problem(recipe, SPEC)
    monkeypatch.setattr(at_once, "cores", lambda: 2)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    assert can_train_at_once(jobs, problem, splits)
    assert not can_train_at_once(jobs[:1], problem, splits)
    on_disk = replace(splits.train, in_memory=False)
    assert not can_train_at_once(jobs, problem, replace(splits, train=on_disk))
    mirrored = twintrain.load_recipe("standard", ["execution.strategy=mirrored"])
    assert not can_train_at_once(jobs_of(mirrored, tmp_path), problem, splits)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [SimpleNamespace()])
    assert not can_train_at_once(jobs, problem, splits)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    nameless = twintrain.find_problem(recipe, SPEC)
    nameless.loss = lambda: None  # type: ignore[method-assign,assignment,return-value]
    assert not can_train_at_once(jobs, nameless, splits)
    monkeypatch.setattr(at_once, "cores", lambda: 1)
    assert not can_train_at_once(jobs, problem, splits)
