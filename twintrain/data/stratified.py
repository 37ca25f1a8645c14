"""Samples and shares in which every label keeps its part; targets that are numbers, and several
labels of each example, count as one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def stratified_sample(labels: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Positions of `count` examples with each label in its share, the first ones of each label,
    sorted.

    Exactly min(count, len(labels)) positions come back. Where the count allows it, every label
    keeps one example however rare it is: a stray label must not vanish from a sample before the
    schema has seen it.
    """
    labels = _strata(labels)
    count = min(count, len(labels))
    names, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / len(labels)
    take = np.floor(exact).astype(np.int64)
    if count >= len(names):
        take = np.maximum(take, 1)
    least = take.min()
    while take.sum() != count:  # at most one round per label
        step = np.sign(count - take.sum())
        fitting = np.where((step > 0) | (take > least), step * (exact - take), -np.inf)
        take[np.argmax(fitting)] += step
    chosen = [np.nonzero(labels == name)[0][:n] for name, n in zip(names, take, strict=True)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def stratified_share(labels: npt.NDArray[Any], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which examples belong to a share drawn from each label, bool [len(labels)].

    Every label with two examples has one in the share and one outside of it, whatever the fraction.
    """
    labels = _strata(labels)
    held = np.zeros(len(labels), bool)
    rng = np.random.default_rng([seed, 0x401D])
    for label in np.unique(labels):
        members = rng.permutation(np.nonzero(labels == label)[0])
        if len(members) > 1:
            held[members[: max(1, round(fraction * len(members)))]] = True
    return held


def _strata(targets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        return targets.astype(np.int64)
    return np.zeros(len(targets), np.int64)
