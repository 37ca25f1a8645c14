from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twintrain.data.stratified import stratified_sample, stratified_share

LABELS = st.lists(st.integers(0, 9), min_size=1, max_size=300)


@given(LABELS, st.integers(1, 400))
def test_a_stratified_sample_keeps_the_shares(labels: list[int], count: int) -> None:
    array = np.array(labels)
    chosen = stratified_sample(array, count)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, len(labels))
    assert (np.diff(chosen) > 0).all()
    names = np.unique(array)
    for label in names:
        share = (array == label).sum() * len(chosen) / len(labels)
        assert abs((array[chosen] == label).sum() - share) <= max(1, len(names) - 1)
    if len(chosen) >= len(names):
        assert set(array[chosen]) == set(names)


def test_shares_are_exact_where_no_label_is_rare() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    assert np.bincount(labels[stratified_sample(labels, 50)]).tolist() == [30, 15, 5]


@given(LABELS, st.floats(0.01, 0.5), st.integers(0, 100))
def test_a_share_takes_from_every_label_and_leaves_of_every_label(
    labels: list[int], part: float, seed: int
) -> None:
    array = np.array(labels)
    held = stratified_share(array, part, seed)
    assert (held == stratified_share(array, part, seed)).all()
    for label in np.unique(array):
        of_it = held[array == label]
        if len(of_it) == 1:
            assert not of_it.any()
        else:
            assert 0 < of_it.sum() < len(of_it)
            assert abs(of_it.sum() - part * len(of_it)) <= 1
