"""Records as a run would leave them, made from a few figures."""

from __future__ import annotations

import numpy as np

from twintrain.problems.metric import ACCURACY
from twintrain.statistics.paired import paired_estimate
from twintrain.trend.span_record import SliceRecord, SpanRecord

LABELS = 4


def slice_record(name: str, n: int, fit: float, loop: float, margin: float = 0.5) -> SliceRecord:
    """A slice on which the twins are right on that share of `n` examples, as few differing as the
    shares allow.
    """
    right_fit, right_loop = round(n * fit), round(n * loop)
    differences = np.zeros((1, n), np.int8)
    differences[0, : abs(right_loop - right_fit)] = np.sign(right_loop - right_fit)
    estimate = paired_estimate(differences)
    return SliceRecord(
        name=name,
        n=n,
        fit_score=right_fit / n,
        loop_score=right_loop / n,
        gap=100 * estimate.difference,
        ci95=(100 * estimate.low, 100 * estimate.high),
        beyond_p=estimate.beyond_p(margin / 100),
        verdict="inconclusive",
    )


def record(
    span: int,
    fit: float = 0.95,
    loop: float = 0.95,
    *,
    shares: dict[str, float] | None = None,
    slices: dict[str, tuple[float, float]] | None = None,
    recipe: str = "standard",
    digest: str = "a",
    n: int = 2000,
) -> SpanRecord:
    """The record of one span."""
    parts = (
        slices if slices is not None else {f"label={label}": (fit, loop) for label in range(LABELS)}
    )
    return SpanRecord(
        metric=ACCURACY,
        span=span,
        recipe_name=recipe,
        recipe_hash=digest * 64,
        created=f"2026-01-{span + 1:02d}T00:00:00+00:00",
        trained_on="0" * 64,
        seeds=[0],
        margin=0.5,
        verdict="inconclusive",
        sentence=f"Span {span}.",
        pushed=False,
        slices=[
            slice_record("overall", n, fit, loop),
            *(slice_record(name, n // LABELS, *values) for name, values in parts.items()),
        ],
        label_shares=shares or {str(label): 1 / LABELS for label in range(LABELS)},
        drift_threshold=0.03,
    )
