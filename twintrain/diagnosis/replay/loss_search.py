"""Finds the way in which a side computes its loss: the one that reproduces what its tape
differentiated.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.declared_losses import Declared
from twintrain.diagnosis.replay.losses import (
    PADDING,
    Batch,
    LossPractice,
    kept_targets,
    mean_loss,
    output_losses,
)
from twintrain.diagnosis.replay.tolerances import LOSS_FLOOR, LOSSES_VARY, RATIO_FACTOR

# Steps from which a share of the layers' losses is read, and how many times as large as the
# tolerance these have to be.
_FEWEST_OF_SHARE, _SHOWS = 3, 30


def search(
    declared: Declared, batches: list[Batch], targets: list[float], rel: float
) -> LossPractice | None:
    """The practice with the fewest deviations whose loss equals the observed one in every batch."""
    known: dict[LossPractice, tuple[np.ndarray, np.ndarray] | None] = {}
    for practice in _candidates(batches):
        plain = replace(practice, reduction="mean", regularized=True)
        if plain not in known:
            known[plain] = _means(declared, plain, batches)
        found = known[plain]
        if found is None:
            continue
        added = [float(b.added) if practice.regularized else 0.0 for b in batches]
        rest = np.array(targets) - added
        reduced = _reduction(practice, *found, rest, np.array(targets), rel)
        if reduced is not None:
            return reduced
    by_weights = _by_own_weights(declared, batches, np.array(targets), rel)
    return by_weights or _by_own_share(declared, batches, np.array(targets), rel)


def _by_own_share(
    declared: Declared, batches: list[Batch], targets: np.ndarray, rel: float
) -> LossPractice | None:
    """The correct practice but for a share of the layers' losses: the one that gives all targets,
    as a number of few digits.
    """
    added = np.array([float(batch.added) for batch in batches])
    found = _means(declared, LossPractice(), batches)
    if found is None or len(targets) < _FEWEST_OF_SHARE:
        return None
    floor = rel * np.maximum(np.abs(targets), LOSS_FLOOR)
    if not (np.abs(added) > _SHOWS * floor).all() or np.ptp(added) <= 2 * floor.max():
        return None  # any share would do, or any constant
    rest = targets - found[0]
    share = float(f"{np.median(rest / added):.2g}")
    if share <= 0 or not (np.abs(rest - share * added) <= floor).all():
        return None
    return LossPractice(regularized=share)


def _by_own_weights(
    declared: Declared, batches: list[Batch], targets: np.ndarray, rel: float
) -> LossPractice | None:
    """The correct practice but for the weights of the outputs: those that give all targets, as
    numbers of few digits, which nothing but such weights would do.
    """
    try:
        found = [output_losses(declared, LossPractice(), batch) for batch in batches]
    except Exception:  # of the user's own loss, or of shapes that do not go together
        return None
    if any(one is None for one in found):
        return None
    losses = np.array([[float(loss) for loss, _ in one] for one in found if one is not None])
    outputs = losses.shape[1] if losses.ndim > 1 else 0
    if outputs < 2 or len(losses) <= outputs or not np.isfinite(losses).all():
        return None
    floor = rel * np.maximum(np.abs(targets), LOSS_FLOOR)
    for regularized in (True, False):
        rest = targets - [float(b.added) if regularized else 0.0 for b in batches]
        exact, _, rank, _ = np.linalg.lstsq(losses, rest, rcond=None)
        weights = tuple(float(f"{weight:.3g}") if weight > rel else 0.0 for weight in exact)
        if rank == outputs and (np.abs(losses @ np.array(weights) - rest) <= floor).all():
            return LossPractice(output_weights=weights, regularized=regularized)
    return None


def _means(
    declared: Declared, practice: LossPractice, batches: list[Batch]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Per batch, the loss reduced to a mean, and how many values that is of."""
    try:
        found = [mean_loss(declared, practice, batch) for batch in batches]
    except Exception:  # of the user's own loss, or of shapes that do not go together
        return None
    if any(pair is None for pair in found):
        return None
    pairs = [(float(pair[0]), float(pair[1])) for pair in found if pair is not None]
    means, counts = zip(*pairs, strict=True)
    return np.array(means), np.array(counts)


def _candidates(batches: list[Batch]) -> list[LossPractice]:
    """Practices with at most three deviations, those with fewest first; with two, any reduction."""
    axes = _axes(batches)
    grid = [
        replace(LossPractice(), **dict(zip(axes, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]
    plain = sorted((p for p in grid if p.deviations() <= 3), key=LossPractice.deviations)
    free = [replace(p, reduction="any") for p in plain if p.deviations() <= 2]
    return sorted(plain + free, key=LossPractice.deviations)


def _axes(batches: list[Batch]) -> dict[str, list[Any]]:
    """Per field of a practice, the values that the batches can tell apart."""
    outputs = [output for batch in batches for output in keras.tree.flatten(batch.p)]
    # Without weights, say, all ways of weighting are one.
    axes: dict[str, list[Any]] = {
        "form": ["as declared", "logits", "probabilities", "class number"],
        "broadcast": [False, True],
        "mask": ["as declared"],
        "weighted": [True],
        "divisor": ["positions that count"],
        "output_weights": [True],
        "regularized": [True],
    }
    masked = any(getattr(output, "_keras_mask", None) is not None for output in outputs)
    paddings = [name for name, padding in PADDING.items() if _tells_apart(batches, padding)]
    axes["mask"] += [*paddings, *(["none"] if masked else [])]
    weighted = any(batch.w is not None for batch in batches)
    if weighted:
        axes["weighted"] = [True, False]
        axes["divisor"].append("weights")
    if masked or paddings or (weighted and any(output.shape.rank > 2 for output in outputs)):
        axes["divisor"] += ["positions", "rows", "each row's own"]
    if len(keras.tree.flatten(batches[0].p)) > 1:
        axes["output_weights"] = [True, False]
    if any(float(batch.added) for batch in batches):
        axes["regularized"] = [True, False]
    return axes


def _tells_apart(batches: list[Batch], padding: int) -> bool:
    """Whether some targets are padding, and by another mask than the outputs have."""
    for batch in batches:
        y, p = keras.tree.flatten(batch.y), keras.tree.flatten(batch.p)
        if len(y) != 1 or len(p) != 1:
            return False
        kept = kept_targets(y[0], padding)
        if kept is None or p[0].shape.rank < 3:
            return False
        own = getattr(p[0], "_keras_mask", None)
        own = np.ones(kept.shape, bool) if own is None else np.asarray(own, bool)
        if kept.numpy().all():
            continue  # nothing is padding: that mask is none
        if own.shape != kept.shape or (own != kept.numpy()).any():
            return True
    return False


def _reduction(
    practice: LossPractice,
    means: np.ndarray,
    counts: np.ndarray,
    rest: np.ndarray,
    targets: np.ndarray,
    rel: float,
) -> LossPractice | None:
    """The practice with the reduction that gives the targets; None where none does.

    Args:
        practice: its reduction is 'mean', or anything else where any may be tried.
        means: per batch, the loss reduced to a mean.
        counts: per batch, how many values that is a mean of.
        rest: per batch, the target without what the layers add.
        targets: per batch, as observed.
        rel: tolerance.
    """
    if practice.reduction == "mean":
        floor = rel * np.maximum(np.abs(targets), LOSS_FLOOR)
        return practice if (np.abs(means - rest) <= floor).all() else None
    if not (np.abs(means) > 0).all() or len(means) < 2:
        return None
    ratios = rest / means
    cancelled = np.abs(targets / np.where(rest == 0, 1.0, rest))
    loose = RATIO_FACTOR * rel * np.maximum(1.0, cancelled)
    if (np.abs(ratios / counts - 1) <= loose).all():
        return replace(practice, reduction="sum")
    if np.ptp(means) <= LOSSES_VARY * np.abs(means).max():
        return None  # of equal losses any factor is constant
    for name, values in (("constant", ratios), ("fixed size", ratios / counts)):
        factor = float(np.median(values))
        if factor > 0 and (np.abs(values / factor - 1) <= loose).all():
            return replace(practice, reduction=name, factor=factor)
    return None
