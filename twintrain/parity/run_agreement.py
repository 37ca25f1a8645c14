"""Do two finished trainings agree: were they fed the same batches, and did they end with the same
weights?
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel

from twintrain.errors import TwintrainError
from twintrain.training.seed_record import SeedRecord


class SeedAgreement(BaseModel):
    """One seed of both twins.

    Attributes:
        same_batches: every batch, in order, bit for bit.
        first_different_batch: (epoch, step), both from 0; None when all are the same.
        max_abs_difference: over all weights kept; 0.0 means bit-for-bit equality of values.
        same_history: all figures of all epochs equal.
    """

    seed: int
    same_batches: bool
    first_different_batch: tuple[int, int] | None
    max_abs_difference: float
    same_history: bool


def compare_seed(fit: SeedRecord, loop: SeedRecord) -> SeedAgreement:
    """Compare the records of one seed.

    Raises:
        TwintrainError: the two models do not have the same weights by number and shape.
    """
    seed = fit.figures.seed
    different = first_difference(fit.fingerprints, loop.fingerprints)
    ours, theirs = fit.weights, loop.weights
    if [weight.shape for weight in ours] != [weight.shape for weight in theirs]:
        raise TwintrainError(
            f"Seed {seed}: the twins' models differ in shape.", "They must share model and shapes."
        )
    gaps = [_max_abs_difference(a, b) for a, b in zip(ours, theirs, strict=True)]
    return SeedAgreement(
        seed=seed,
        same_batches=different is None,
        first_different_batch=different,
        max_abs_difference=max(gaps, default=0.0),
        same_history=fit.figures.history == loop.figures.history,
    )


def first_difference(fit: np.ndarray, loop: np.ndarray) -> tuple[int, int] | None:
    """(epoch, step) of the first batch that differs or that only one side has; None when there is
    none.

    Args:
        fit: int64 fingerprints [epochs, steps].
        loop: likewise.
    """
    for epoch in range(max(len(fit), len(loop))):
        ours = fit[epoch] if epoch < len(fit) else np.empty(0, np.int64)
        theirs = loop[epoch] if epoch < len(loop) else np.empty(0, np.int64)
        shared = min(len(ours), len(theirs))
        unequal = np.nonzero(ours[:shared] != theirs[:shared])[0]
        if len(unequal):
            return epoch, int(unequal[0])
        if len(ours) != len(theirs):
            return epoch, shared
    return None


def _max_abs_difference(a: np.ndarray, b: np.ndarray) -> float:
    if a.tobytes() == b.tobytes():
        return 0.0
    gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
    # Zero is kept for equal bits; 0.0 against -0.0 differs by the smallest number there is.
    return float(
        np.inf if np.isnan(gap).any() else max(gap.max(), np.finfo(np.float64).smallest_subnormal)
    )
