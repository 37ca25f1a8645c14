"""From right and wrong scores of every combination to shares, intervals and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twintrain.attribution.design import Design
from twintrain.attribution.practices import Practice
from twintrain.attribution.result import Explanation, Interaction, Interval, Restored, Share
from twintrain.statistics.paired import LEVEL, PairedEstimate, holm, paired_estimate

Scores = npt.NDArray[np.float64]


def points(estimate: PairedEstimate) -> tuple[float, Interval]:
    """A difference and its 95 % interval in percentage points."""
    return 100 * estimate.difference, (100 * estimate.low, 100 * estimate.high)


def weighed(scores: Scores, weights: npt.NDArray[np.float64]) -> PairedEstimate:
    """The estimate of a weighted sum of accuracies, paired by seed and by example.

    Args:
        scores: of each example, 1 for right and 0 for wrong, [combinations, seeds, examples].
        weights: [combinations], adding up to 0.
    """
    return paired_estimate(np.tensordot(weights, scores, axes=1))


def estimate_shares(scores: Scores, design: Design, practices: Sequence[Practice]) -> list[Share]:
    """The Shapley share of every practice; they add up to the gap."""
    estimates = [weighed(scores, weights) for weights in design.shares]
    adjusted = holm([estimate.p_value for estimate in estimates])
    shares = []
    for practice, estimate, p in zip(practices, estimates, adjusted, strict=True):
        share, interval = points(estimate)
        shares.append(
            Share(
                practice=practice.name,
                points=share,
                ci95=interval,
                p_value=p,
                named=p < LEVEL,
                changes=practice.changes,
            )
        )
    return shares


def estimate_interactions(
    scores: Scores, design: Design, practices: Sequence[Practice]
) -> list[Interaction]:
    """Every pair of practices, the largest first."""
    estimates = [weighed(scores, weights) for weights in design.interactions]
    adjusted = holm([estimate.p_value for estimate in estimates])
    found = []
    for (i, j), estimate, p in zip(design.pairs, estimates, adjusted, strict=True):
        value, interval = points(estimate)
        names = (practices[i].name, practices[j].name)
        found.append(Interaction(practices=names, points=value, ci95=interval, p_value=p))
    return sorted(found, key=lambda pair: -abs(pair.points))


def restore(scores: Scores, design: Design, shares: Sequence[Share]) -> Restored | None:
    """What is left of the gap with the named practices (or the only one) put right; None where that
    combination was not trained.
    """
    named = np.array([share.named or len(shares) == 1 for share in shares])
    if not named.any():
        return None
    (column,) = np.nonzero((design.runs == ~named).all(axis=1))
    if not len(column):
        return None
    names = [share.practice for share, is_named in zip(shares, named, strict=True) if is_named]
    if named.all():
        return Restored(practices=names, gap_points=0.0, ci95=(0.0, 0.0))
    weights = np.zeros(len(design.runs))
    weights[column[0]], weights[0] = 1.0, -1.0
    gap, interval = points(weighed(scores, weights))
    return Restored(practices=names, gap_points=gap, ci95=interval)


def sentence(
    gap: float, gap_interval: Interval, shares: Sequence[Share], seeds: int, examples: int
) -> str:
    """What a person may conclude, and no more."""
    named = [share for share in shares if share.named]
    basis = f"{seeds} seeds" if seeds > 1 else "one seed (seeds were not varied)"
    whole = (
        f"Of a gap of {gap:+.2f} points (95 % interval {_span(gap_interval)}; {basis}, "
        f"{examples:,} test examples)"
    )
    if not shares:
        return (
            f"{whole} nothing is due to the recipes: every practice in which they differ was "
            "without effect."
        )
    if len(shares) == 1:
        only = shares[0].practice
        told = (
            ""
            if named
            else ", though the gap itself cannot be told from chance; more seeds or test examples "
            "would tell"
        )
        return (
            f"{whole} everything is due to {only}, the only practice that changes the training at "
            f"all{told}."
        )
    if not named:
        largest = max(shares, key=lambda share: abs(share.points))
        return (
            f"{whole} no practice's share can be told from chance; the largest is "
            f"{largest.practice} with "
            f"{largest.points:+.2f} ({_span(largest.ci95)}). More seeds would tell."
        )
    parts = [
        f"{share.practice} for {share.points:+.2f} ({_span(share.ci95)})"
        for share in _by_size(named)
    ]
    parts[0] = parts[0].replace(" for ", " accounts for ", 1)
    rest = [share for share in shares if not share.named]
    text = f"{whole} {_listed(parts)}"
    if rest:
        text += (
            "; not told from chance: "
            f"{_listed([f'{s.practice} {s.points:+.2f}' for s in _by_size(rest)])}"
        )
    return f"{text}."


def _by_size(shares: Sequence[Share]) -> list[Share]:
    return sorted(shares, key=lambda share: -abs(share.points))


def _span(interval: Interval) -> str:
    return f"{interval[0]:+.2f} to {interval[1]:+.2f}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def total(explanation: Explanation) -> float:
    """The shares added up, percentage points: the gap, to rounding."""
    return float(sum(share.points for share in explanation.shares))
