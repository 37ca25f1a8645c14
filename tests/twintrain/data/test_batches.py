from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from twintrain.data.batches import BatchSource, Feed, evaluation_dataset
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe

AUGMENTED = ["augmentation.rotation=40", "augmentation.shift=0.2", "augmentation.flip=true"]


def recipe(*overrides: str) -> Recipe:
    return load_recipe("standard", overrides)


def source_of(store: ExampleStore, own: Recipe, seed: int) -> BatchSource:
    problem = find_problem(own, labelled_images((28, 28, 1), 10))
    return BatchSource(store, own, seed, problem.preparation(own))


def take_epoch(source: BatchSource, feed: Feed, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    feed.start(epoch)
    return [(images.numpy(), labels.numpy()) for images, labels in source.dataset(feed)]


def test_an_epoch_holds_every_example_once(small_train: ExampleStore) -> None:
    source = source_of(small_train, recipe(), seed=3)
    order = source.epoch_order(0)
    assert sorted(order) == list(range(330))
    assert source.steps == 11
    batches = take_epoch(source, Feed(), 0)
    assert [len(labels) for _, labels in batches] == [32] * 10 + [10]
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels in batches]), small_train.targets[order]
    )
    np.testing.assert_array_equal(
        np.concatenate([images for images, _ in batches]), small_train.values(order)
    )


def test_order_depends_on_seed_and_epoch_only(small_train: ExampleStore) -> None:
    first, again = source_of(small_train, recipe(), 1), source_of(small_train, recipe(), 1)
    np.testing.assert_array_equal(first.epoch_order(5), again.epoch_order(5))
    assert not np.array_equal(first.epoch_order(5), first.epoch_order(6))
    assert not np.array_equal(
        first.epoch_order(5), source_of(small_train, recipe(), 2).epoch_order(5)
    )
    bare = source_of(small_train, recipe("training.shuffle=false"), 1)
    np.testing.assert_array_equal(bare.epoch_order(5), np.arange(330))


def test_the_dataset_feeds_what_gather_gives(small_train: ExampleStore) -> None:
    source = source_of(small_train, recipe(*AUGMENTED), 0)
    feed = Feed()
    batches = take_epoch(source, feed, 2)
    order, transforms = source.epoch_order(2), tf.constant(source.epoch_draws(2))
    for step, (images, labels) in enumerate(batches):
        expected, expected_labels = source.gather(
            tf.constant(order[32 * step : 32 * step + 32]), transforms
        )
        np.testing.assert_array_equal(images, expected.numpy())
        np.testing.assert_array_equal(labels, expected_labels.numpy())
        assert feed.fingerprints[2][step] == source.fingerprint(expected, expected_labels).numpy()


def test_fingerprints_see_a_bit_a_label_and_the_order(small_train: ExampleStore) -> None:
    source = source_of(small_train, recipe(), 0)
    images, labels = source.gather(tf.range(32), tf.zeros([0, 8]))
    original = source.fingerprint(images, labels).numpy()
    bits = images.numpy()
    bits.view(np.uint32)[7, 14, 14, 0] ^= 1
    swapped = [1, 0, *range(2, 32)]
    assert source.fingerprint(tf.constant(bits), labels).numpy() != original
    assert (
        source.fingerprint(images, labels + tf.one_hot(3, 32, dtype=tf.int64)).numpy() != original
    )
    assert (
        source.fingerprint(tf.gather(images, swapped), tf.gather(labels, swapped)).numpy()
        != original
    )
    assert source.fingerprint(images, labels).numpy() == original


def test_a_peek_does_not_count(small_train: ExampleStore) -> None:
    source, feed = source_of(small_train, recipe(), 0), Feed()
    feed.start(0)
    next(iter(source.dataset(feed)))
    take_epoch(source, feed, 0)
    assert len(feed.fingerprints[0]) == 11


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect", "wrap"])
def test_augmentation_changes_images_and_keeps_labels(small_train: ExampleStore, fill: str) -> None:
    plain = source_of(small_train, recipe(), 0)
    augmented = source_of(small_train, recipe(*AUGMENTED, f"augmentation.fill={fill}"), 0)
    transforms = tf.constant(augmented.epoch_draws(0))
    images, labels = augmented.gather(tf.range(32), transforms)
    original, original_labels = plain.gather(tf.range(32), transforms)
    np.testing.assert_array_equal(labels, original_labels)
    assert float(tf.reduce_mean(tf.abs(images - original))) > 0.02
    assert float(tf.reduce_max(images)) <= 1.0
    assert float(tf.reduce_min(images)) >= 0.0


def test_evaluation_is_in_order_and_plain(small_test: ExampleStore) -> None:
    own = recipe("training.evaluation_batch_size=64", *AUGMENTED)
    preparation = find_problem(own, labelled_images((28, 28, 1), 10)).preparation(own)
    batches = list(evaluation_dataset(small_test, own, preparation))
    np.testing.assert_array_equal(
        np.concatenate([labels for _, labels in batches]), small_test.targets
    )
    np.testing.assert_array_equal(
        np.concatenate([images for images, _ in batches]), small_test.values(np.arange(200))
    )
