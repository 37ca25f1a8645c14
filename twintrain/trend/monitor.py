"""What records show together, and which of them to be alarmed at.

Looking again after every span must not multiply false alarms. Two devices hold them to 5 % over any
number of spans, as far as what they assume holds (docs/trend.md has simulations of when it does
not):

- Alarms of one span spend a share of that 5 %: the t-th look may spend 6 / (pi t)^2 of it, which
  sums up to the whole over all looks to come (alpha spending: Lan and DeMets 1983, "Discrete
  sequential boundaries for clinical trials", Biometrika 70; by the union bound, so that nothing is
  assumed of how spans depend on each other). A third each goes to the gap over all examples, to the
  gap per slice, and to the accuracy per slice; slices share theirs by Holm's method.
- The mean gap over all spans so far has a confidence sequence, an interval that holds at all times
  at once: Robbins's normal mixture (Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform,
  nonparametric, nonasymptotic confidence sequences", Ann. Statist. 49, equation 14), with variances
  as estimated per span.

Gaps are those of the models a span left, tested over their test examples: whether other seeds would
show them too is the report's question, and with two or three seeds no gap however large would pass
for certain there.

Drift of the data is a distance with a threshold of the user's, not a test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy import special, stats

from twintrain.problems.metric import Metric
from twintrain.statistics.paired import holm
from twintrain.trend.accuracy_drops import Course, drop_p_values
from twintrain.trend.span_record import SliceRecord, SpanRecord

ALPHA = 0.05
DROP_POINTS = 2.0
_Z = float(stats.norm.isf(0.025))
Kind = Literal["gap", "slice gap", "slice accuracy", "drift"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Alert(_Part):
    """One reason to look."""

    kind: Kind
    where: str = Field(description="the slice, or the label that drifted")
    size: float = Field(description="how far, in the metric's unit; of drift, in percentage points")
    text: str


class Look(_Part):
    """One span as the trend sees it."""

    record: SpanRecord
    drift_points: float | None = Field(
        description="largest change of a label's share against the reference, percentage points; "
        "null for the first"
    )
    reference: int | None = Field(description="the span it was held against")
    mean_gap: float = Field(description="over all spans so far")
    mean_gap_ci95: tuple[float, float] = Field(
        description="confidence sequence: holds at every span at once"
    )
    recipe_changed: bool = Field(description="against the span before")
    alerts: list[Alert]


class Trend(_Part):
    """All spans of one recipe name, oldest first."""

    recipe_name: str
    looks: list[Look]

    @property
    def alerts(self) -> list[Alert]:
        """Of the newest span."""
        return self.looks[-1].alerts if self.looks else []


def spent(look: int, alpha: float = ALPHA) -> float:
    """The share of `alpha` that the look-th look may spend, counted from 1; all looks together
    spend `alpha`.
    """
    return alpha * 6 / (math.pi * look) ** 2


def confidence_sequence(
    values: npt.NDArray[np.float64],
    variances: npt.NDArray[np.float64],
    intended: float,
    alpha: float = ALPHA,
) -> npt.NDArray[np.float64]:
    """An interval of the mean after each value, all of which hold together with probability 1 -
    `alpha`.

    Args:
        values: independent, approximately normal, [looks].
        variances: of each, [looks]; 0 for a value that is known for certain.
        intended: the sum of variances at which the intervals are to be narrowest; any choice made
            beforehand is valid.
        alpha: probability that any of the intervals fails.

    Returns:
        [looks, 2]; of no width as long as every value was certain.
    """
    count = np.arange(1, len(values) + 1)
    total, variance = np.cumsum(values), np.cumsum(variances)
    rho = intended / (-float(special.lambertw(-(alpha**2) / math.e, -1).real) - 1)
    reach = np.sqrt((variance + rho) * np.log((variance + rho) / (rho * alpha**2)))
    reach[variance == 0] = 0.0
    return np.stack([(total - reach) / count, (total + reach) / count], axis=1)


def judge(records: Sequence[SpanRecord], drop_points: float = DROP_POINTS) -> list[Trend]:
    """Every recipe name's trend. Of several records of one span and name, the newest counts.

    Args:
        records: in any order.
        drop_points: by how much a slice's accuracy may fall below what it was before anyone is
            alarmed.
    """
    named: dict[tuple[str, str], dict[int, SpanRecord]] = {}
    for record in sorted(records, key=lambda record: (record.span, record.created)):
        named.setdefault(_followed(record), {})[record.span] = record
    return [
        _trend(name, [spans[span] for span in sorted(spans)], drop_points)
        for (name, _), spans in sorted(named.items())
    ]


def _followed(record: SpanRecord) -> tuple[str, str]:
    """What belongs into one trend: gaps of different metrics do not."""
    return record.recipe_name, record.metric.title


def look_at(record: SpanRecord, records: Sequence[SpanRecord]) -> Look:
    """One span as the trend sees it, with what there is to be alarmed at: a gap, a drop, drift
    against the span before.

    Args:
        record: the span.
        records: all there are, in any order; those of later spans do not count.
    """
    known = [
        one for one in records if one.span <= record.span and _followed(one) == _followed(record)
    ]
    (trend,) = judge([*(one for one in known if one.span != record.span), record])
    return trend.looks[-1]


def _trend(name: str, records: list[SpanRecord], drop_points: float) -> Trend:
    gaps = np.array([record.overall.gap for record in records])
    errors = np.array([_standard_error(record.overall.ci95) for record in records])
    bounds = confidence_sequence(gaps, errors**2, _intended(records[0]))
    looks: list[Look] = []
    reference: SpanRecord | None = None
    for position, record in enumerate(records):
        before = records[position - 1] if position else None
        drift, alert = _drift(record, reference, before)
        alpha = spent(position + 1) / 3
        alerts = [
            *_gap_alerts(record, alpha),
            *_drops(record, records[:position], drop_points, alpha),
        ]
        looks.append(
            Look(
                record=record,
                drift_points=drift,
                reference=None if reference is None else reference.span,
                mean_gap=float(gaps[: position + 1].mean()),
                mean_gap_ci95=(float(bounds[position, 0]), float(bounds[position, 1])),
                recipe_changed=before is not None and before.recipe_hash != record.recipe_hash,
                alerts=[*alerts, *([alert] if alert else [])],
            )
        )
        reference = reference if alert else record
    return Trend(recipe_name=name, looks=looks)


def _intended(first: SpanRecord) -> float:
    """The sum of variances at which the mean gap is to be known best."""
    if first.metric.counts:
        # Ten spans of twins that disagree on 2 % of their examples, which is what good and not
        # quite equal twins do.
        return 10 * 0.02 * first.metric.scale**2 / max(first.overall.n, 1)
    # Ten spans that tell a tenth of the margin: what was to be seen was decided beforehand.
    return 10 * (first.margin / 10) ** 2


def _standard_error(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / 2 / _Z


def _gap_alerts(record: SpanRecord, alpha: float) -> list[Alert]:
    """Gaps beyond the margin, all examples first; the slices share `alpha`, all examples have as
    much for their own.
    """
    whole, *parts = record.slices
    found = [whole] if whole.beyond_p < alpha else []
    found += [
        part
        for part, p in zip(parts, holm([part.beyond_p for part in parts]), strict=True)
        if p < alpha
    ]
    return [
        Alert(
            kind="gap" if part is whole else "slice gap",
            where=part.name,
            size=part.gap,
            text=f"{part.name}: the loop is {_distance(record.metric, part.gap)} "
            f"{'below' if part.gap < 0 else 'above'} fit, beyond the margin of "
            f"{record.margin:g}",
        )
        for part in found
    ]


def _distance(metric: Metric, gap: float) -> str:
    """A gap without its sign: '0.31 points', '2.4 minutes of mean absolute error'."""
    size = f"{metric.difference(abs(gap))[1:]} {metric.unit}".rstrip()
    return size if metric.counts else f"{size} of {metric.name}"


def _drops(
    record: SpanRecord, before: list[SpanRecord], drop_points: float, alpha: float
) -> list[Alert]:
    """Slices whose accuracy dropped, of either twin, by more than `drop_points` below its mean. Of
    metrics that count no right and wrong, none: nothing says how much they vary by chance.
    """
    if not record.metric.counts:
        return []
    found: list[tuple[str, str, float]] = []
    p_values: list[float] = []
    for twin in ("fit", "loop"):
        courses = {
            part.name: course
            for part in record.slices[1:]
            if (course := _course(part, twin, before))
        }
        found += [(name, twin, course.drop) for name, course in courses.items()]
        p_values += drop_p_values(list(courses.values()), drop_points / 100).tolist()
    alarming = [(one, p) for one, p in zip(found, holm(p_values), strict=True) if p < alpha]
    order = [part.name for part in record.slices]
    return [
        Alert(
            kind="slice accuracy",
            where=name,
            size=-100 * drop,
            text=f"{name}: accuracy of the {twin} twin fell by {100 * drop:.1f} points below its "
            "mean so far",
        )
        for (name, twin, drop), _ in sorted(alarming, key=lambda pair: order.index(pair[0][0]))
    ]


def _course(part: SliceRecord, twin: str, before: list[SpanRecord]) -> Course | None:
    """A slice's accuracy over the spans that have it; None where this is the first."""
    earlier = [other for past in before for other in past.slices if other.name == part.name]
    if not earlier:
        return None
    parts = [*earlier, part]
    accuracies = np.array([getattr(one, f"{twin}_score") for one in parts])
    return Course(accuracies, np.array([one.n for one in parts], np.float64))


def _drift(
    record: SpanRecord, reference: SpanRecord | None, before: SpanRecord | None
) -> tuple[float | None, Alert | None]:
    """How far the labels are from the last span that had not drifted, and an alert where that is
    news.

    A span like the drifted one before it is no news: a change that lasts is told once and then is
        the new reference.
    """
    if reference is None or before is None or record.drift_threshold is None:
        return None, None
    if not record.label_shares or not reference.label_shares:
        return None, None
    label, distance = label_distance(record, reference)
    lasting = (
        before is not reference and label_distance(record, before)[1] <= record.drift_threshold
    )
    if distance <= record.drift_threshold or lasting:
        return 100 * distance, None
    share, was = record.label_shares.get(label, 0.0), reference.label_shares.get(label, 0.0)
    text = (
        f"label {label} is {share:.1%} of the training examples, {was:.1%} in span {reference.span}"
    )
    return 100 * distance, Alert(kind="drift", where=label, size=100 * (share - was), text=text)


def label_distance(record: SpanRecord, other: SpanRecord) -> tuple[str, float]:
    """The label whose share changed most and by how much (TFDV's infinity norm)."""
    labels = sorted({*record.label_shares, *other.label_shares})
    changes = {
        label: abs(record.label_shares.get(label, 0.0) - other.label_shares.get(label, 0.0))
        for label in labels
    }
    label = max(changes, key=lambda name: changes[name])
    return label, changes[label]
