"""Figures of several labels: those of sklearn, and how they vary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, hamming_loss, log_loss, roc_auc_score

from twintrain.errors import TwintrainError
from twintrain.problems.task import MultiLabel, task_named


def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Three labels of different frequency, which do not go without each other."""
    common = rng.normal(size=(n, 1))
    has = (common + rng.normal(size=(n, 3)) > [0.0, 0.5, 1.2]).astype(np.int64)
    given = 1 / (1 + np.exp(-(has + rng.normal(size=(n, 3)) - 0.5)))
    return has, given.astype(np.float32)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(150, 300))
def test_figures_are_those_of_sklearn(seed: int, n: int) -> None:
    has, given = sample(np.random.default_rng(seed), n)
    said = given > 0.5
    expected = {
        "label_accuracy": 1 - hamming_loss(has, said),
        "exact_match": accuracy_score(has, said),
        "f1": f1_score(has, said, average="macro"),
        "auc": roc_auc_score(has, given, average="macro"),
        "log_loss": np.mean([log_loss(has[:, k], given[:, k]) for k in range(3)]),
        "brier": ((given - has) ** 2).mean(),
    }
    for name, figure in expected.items():
        found = MultiLabel(metric=name).scores(has, given)
        assert found.shape == (n,)
        assert found.mean() == pytest.approx(figure, abs=1e-6)


@pytest.mark.parametrize("metric", ["label_accuracy", "exact_match", "f1", "auc", "brier"])
def test_scores_tell_how_the_figure_varies(metric: str) -> None:
    """Over samples of one population, as often as it is drawn."""
    rng, judge = np.random.default_rng(5), MultiLabel(metric=metric)
    drawn = [judge.scores(*sample(rng, 400)) for _ in range(400)]
    guessed = np.mean([scores.var() / len(scores) for scores in drawn])
    assert guessed == pytest.approx(np.var([scores.mean() for scores in drawn]), rel=0.2)


def test_a_label_that_lacks_examples_is_named_by_its_place() -> None:
    has, given = sample(np.random.default_rng(1), 200)
    has[:, 1] = 0
    with pytest.raises(TwintrainError, match=r"10 examples of each class .* label 2 has not"):
        task_named("multilabel", metric="auc").scores(has, given)


def test_only_an_example_without_a_mistake_counts_for_exact_match() -> None:
    judge = MultiLabel(metric="exact_match")
    has, given = np.array([[1, 0], [1, 0]]), np.array([[0.9, 0.1], [0.9, 0.6]], np.float32)
    assert judge.scores(has, given).tolist() == [1.0, 0.0]
    assert judge.metric.counts
    assert not MultiLabel().metric.counts
