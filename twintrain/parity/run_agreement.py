"""Do two finished trainings agree: were they fed the same batches, and did they end with the same
weights?
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from twintrain.errors import TwintrainError


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


def compare_seed(
    seed: int, fit: Path, loop: Path, fit_record: dict[str, Any], loop_record: dict[str, Any]
) -> SeedAgreement:
    """Compare the records of one seed (folders as `twintrain.training.seeds` writes them).

    Raises:
        TwintrainError: the two models do not have the same weights by number and shape.
    """
    different = first_difference(
        np.load(fit / "fingerprints.npy"), np.load(loop / "fingerprints.npy")
    )
    with np.load(fit / "weights.npz") as a, np.load(loop / "weights.npz") as b:
        names = [name for name in a.files if name.startswith("kept_")]
        if set(a.files) != set(b.files) or any(a[name].shape != b[name].shape for name in names):
            raise TwintrainError(
                f"Seed {seed}: the twins' models differ in shape.",
                "They must share model and shapes.",
            )
        gaps = [_max_abs_difference(a[name], b[name]) for name in names]
    return SeedAgreement(
        seed=seed,
        same_batches=different is None,
        first_different_batch=different,
        max_abs_difference=max(gaps, default=0.0),
        same_history=fit_record["history"] == loop_record["history"],
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
