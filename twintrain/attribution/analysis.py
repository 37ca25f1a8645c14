"""From the scores of every combination to shares, intervals and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twintrain.attribution.design import Design
from twintrain.attribution.practices import Practice
from twintrain.attribution.result import Explanation, Interaction, Interval, Restored, Share
from twintrain.problems.metric import Metric
from twintrain.statistics.paired import LEVEL, PairedEstimate, holm, paired_estimate

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What every combination scored.

    Attributes:
        metric: which the scores average to.
        scores: of each example, [combinations, seeds, examples].
    """

    metric: Metric
    scores: Scores

    def weighed(self, weights: npt.NDArray[np.float64]) -> PairedEstimate:
        """The estimate of a weighted sum of the metric, paired by seed and by example.

        Args:
            weights: [combinations], adding up to 0.
        """
        return paired_estimate(np.tensordot(weights, self.scores, axes=1), self.metric.counts)

    def in_its_unit(self, estimate: PairedEstimate) -> tuple[float, Interval]:
        """A difference and its 95 % interval in the metric's unit."""
        scale = self.metric.scale
        return scale * estimate.difference, (scale * estimate.low, scale * estimate.high)


def estimate_shares(
    measured: Measured, design: Design, practices: Sequence[Practice]
) -> list[Share]:
    """The Shapley share of every practice; they add up to the gap."""
    estimates = [measured.weighed(weights) for weights in design.shares]
    adjusted = holm([estimate.p_value for estimate in estimates])
    shares = []
    for practice, estimate, p in zip(practices, estimates, adjusted, strict=True):
        share, interval = measured.in_its_unit(estimate)
        shares.append(
            Share(
                practice=practice.name,
                worth=share,
                ci95=interval,
                p_value=p,
                named=p < LEVEL,
                changes=practice.changes,
            )
        )
    return shares


def estimate_interactions(
    measured: Measured, design: Design, practices: Sequence[Practice]
) -> list[Interaction]:
    """Every pair of practices, the largest first."""
    estimates = [measured.weighed(weights) for weights in design.interactions]
    adjusted = holm([estimate.p_value for estimate in estimates])
    found = []
    for (i, j), estimate, p in zip(design.pairs, estimates, adjusted, strict=True):
        value, interval = measured.in_its_unit(estimate)
        names = (practices[i].name, practices[j].name)
        found.append(Interaction(practices=names, worth=value, ci95=interval, p_value=p))
    return sorted(found, key=lambda pair: -abs(pair.worth))


def restore(measured: Measured, design: Design, shares: Sequence[Share]) -> Restored | None:
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
        return Restored(practices=names, gap=0.0, ci95=(0.0, 0.0))
    weights = np.zeros(len(design.runs))
    weights[column[0]], weights[0] = 1.0, -1.0
    gap, interval = measured.in_its_unit(measured.weighed(weights))
    return Restored(practices=names, gap=gap, ci95=interval)


def sentence(
    measured: Measured, gap: float, gap_interval: Interval, shares: Sequence[Share]
) -> str:
    """What a person may conclude, and no more."""
    metric, (_, seeds, examples) = measured.metric, measured.scores.shape
    told_as = metric.difference
    named = [share for share in shares if share.named]
    basis = f"{seeds} seeds" if seeds > 1 else "one seed (seeds were not varied)"
    whole = (
        f"Of a gap of {metric.difference_text(gap)} (95 % interval "
        f"{_span(metric, gap_interval)}; {basis}, {examples:,} test examples)"
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
        largest = max(shares, key=lambda share: abs(share.worth))
        return (
            f"{whole} no practice's share can be told from chance; the largest is "
            f"{largest.practice} with "
            f"{told_as(largest.worth)} ({_span(metric, largest.ci95)}). More seeds would tell."
        )
    parts = [
        f"{share.practice} for {told_as(share.worth)} ({_span(metric, share.ci95)})"
        for share in _by_size(named)
    ]
    parts[0] = parts[0].replace(" for ", " accounts for ", 1)
    rest = [share for share in shares if not share.named]
    text = f"{whole} {_listed(parts)}"
    if rest:
        text += (
            "; not told from chance: "
            f"{_listed([f'{s.practice} {told_as(s.worth)}' for s in _by_size(rest)])}"
        )
    return f"{text}."


def _by_size(shares: Sequence[Share]) -> list[Share]:
    return sorted(shares, key=lambda share: -abs(share.worth))


def _span(metric: Metric, interval: Interval) -> str:
    return f"{metric.difference(interval[0])} to {metric.difference(interval[1])}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def total(explanation: Explanation) -> float:
    """The shares added up, in the metric's unit: the gap, to rounding."""
    return float(sum(share.worth for share in explanation.shares))
