"""Examples that count differently: both twins weigh them as Keras's own `sample_weight` does."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from tests.conftest import mnist_store
from tests.twintrain.training.test_parity import assert_same
from twintrain.data.batches import BatchSource, Feed
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.parity.lockstep import lockstep
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import TWINS, Recipe
from twintrain.training.registry import twin_of
from twintrain.training.session import session
from twintrain.training.twin import TwinJob, TwinResult

SMALL = ["model.name=mlp", "training.epochs=2", "tuning.trials=0"]


def weighted(limit: int = 1 << 30) -> ExampleStore:
    """100 digits; every third counts for nothing, the others from 0.5 to 4."""
    store = mnist_store("train", 100, limit)
    weights = np.random.default_rng(0).uniform(0.5, 4, 100).astype(np.float32)
    weights[::3] = 0
    return replace(store, weights=weights)


def recipe(*overrides: str) -> Recipe:
    return load_recipe("standard", [*SMALL, *overrides])


def job(asked: Recipe, store: ExampleStore) -> TwinJob:
    problem = find_problem(asked, labelled_images((28, 28, 1), 10))
    return TwinJob(asked, problem, store, mnist_store("eval", 40), seed=0)


def both(asked: Recipe, store: ExampleStore) -> tuple[TwinResult, TwinResult]:
    fit, loop = (twin_of(asked, twin).train(job(asked, store)) for twin in TWINS)
    return fit, loop


@pytest.mark.parametrize("limit", [1 << 30, 1], ids=["in memory", "spooled"])
def test_twins_are_equal_bit_for_bit(limit: int) -> None:
    fit, loop = both(recipe("training.class_weight=balanced"), weighted(limit))
    assert_same(fit, loop)
    plain, _ = both(recipe("training.class_weight=balanced"), mnist_store("train", 100, limit))
    np.testing.assert_array_equal(plain.fingerprints, fit.fingerprints)
    assert plain.history["loss"] != fit.history["loss"]


def test_the_weights_are_those_of_sample_weight() -> None:
    """Held against `fit` on arrays, without anything of ours around it."""
    asked, store = recipe("training.shuffle=false", "training.compiled=false"), weighted()
    ours = twin_of(asked, "loop").train(job(asked, store))
    with session(asked, 0):
        model = job(asked, store).problem.build_model(asked)
        model.compile(
            keras.optimizers.Adam(asked.optimizer.learning_rate),
            keras.losses.SparseCategoricalCrossentropy(),
            run_eagerly=True,
        )
        model.fit(
            store.values(np.arange(100)),
            store.targets,
            sample_weight=store.weights,
            batch_size=32,
            epochs=2,
            shuffle=False,
            verbose=0,
        )
    for one, other in zip(ours.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_each_batch_has_the_weights_of_its_own_examples() -> None:
    store, asked = weighted(), recipe("training.class_weight=balanced")
    source = BatchSource(store, asked, 3, job(asked, store).problem.preparation(asked))
    feed = Feed()
    feed.start(1)
    found = np.concatenate([part[2].numpy() for part in source.dataset(feed, weighted=True)])
    order = source.epoch_order(1)
    assert store.weights is not None
    assert source.class_weights is not None
    expected = store.weights[order] * source.class_weights[store.targets[order]]
    np.testing.assert_array_equal(found, expected)
    assert all(len(part) == 2 for part in source.dataset(feed))


def test_side_by_side_they_are_seen_too() -> None:
    store, asked = weighted(), recipe()
    found = lockstep(asked, job(asked, store).problem, store, seed=0, steps=2)
    assert found.first is None
    other = recipe("loop.training.class_weight=balanced")
    first = lockstep(other, job(other, store).problem, store, seed=0, steps=2).first
    assert first is not None
    assert (first.stage, first.tensor) == ("batch", "weights")
