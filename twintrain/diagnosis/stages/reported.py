"""The figures a side reports, and what they may be of."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import keras
import numpy as np

from twintrain.diagnosis.replay.answered import (
    Answered,
    Epochs,
    Parts,
    answered_from,
    answered_in_training,
    figures_of,
)
from twintrain.diagnosis.replay.batch_matching import true_parts
from twintrain.diagnosis.replay.definitions import Definition
from twintrain.diagnosis.replay.figures import BATCHES, RIGHT, Explanation, Quantity, explanations
from twintrain.diagnosis.replay.logged_losses import losses_of
from twintrain.diagnosis.replay.losses import LossReading
from twintrain.diagnosis.replay.metric_objects import of_metric
from twintrain.diagnosis.stages.evaluation import blocks_of, held_out
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.logs import FigureName, Series, figure_name
from twintrain.diagnosis.watch.trace import Evaluation, Step

# Figures that are shares, which people also report in percent.
_SHARES = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True)
class Reported:
    """A series that a side reports.

    Attributes:
        name: as it stands there.
        means: what its name says.
        series: a value for each of the two epochs, or for the second alone.
    """

    name: str
    means: FigureName
    series: list[float]

    @property
    def finite(self) -> bool:
        """Whether all of it are numbers."""
        return bool(np.isfinite(self.series).all())


class Figures:
    """What a side reports, and what it may be of.

    Args:
        pair: both sides.
        side: one of them.

    Attributes:
        side: as given.
        reported: its series.
    """

    def __init__(self, pair: Pair, side: Side) -> None:
        self.side = side
        self.reported = reported_by(side)
        self._pair = pair
        self._reading: LossReading | None = pair.losses.get(side.name)
        self._names = _output_names(side.steps[0])
        self._explained: dict[str, list[Explanation]] = {}

    def explain(self, reported: Reported) -> list[Explanation]:
        """What gives a series, the usual figure first; a nameless one may be any usual figure."""
        if reported.name not in self._explained:
            self._explained[reported.name] = self._explain(reported)
        return self._explained[reported.name]

    def _explain(self, reported: Reported) -> list[Explanation]:
        if not reported.finite:
            return []
        nameless = not reported.means.figure
        pools = [self.evaluation] if reported.means.held_out else [self.training]
        if nameless:
            pools = [self.training, self.evaluation]
        found: list[Explanation] = []
        for pool in pools:
            found += explanations(reported.series, _chosen(pool, reported.means.figure))
        if not reported.means.held_out and not any(e.deviations == 0 for e in found):
            found += explanations(reported.series, _chosen(self.after, reported.means.figure))
        found += [] if found else self._of_whole_data(reported)
        return sorted(found, key=lambda explanation: explanation.deviations)

    def found_to_be(self, reported: Reported) -> FigureName | None:
        """The usual figure that gives a series, whatever its name says; None where none does."""
        as_called = replace(reported, means=FigureName(reported.means.held_out, ""))
        for found in self._explain(as_called):
            right = found.deviations == 0
            if right and found.quantity.held_out >= reported.means.held_out:
                return FigureName(found.quantity.held_out, found.quantity.figure)
        return None

    def _of_whole_data(self, reported: Reported) -> list[Explanation]:
        """What gives a series that was divided by the rows, or the batches, of all data, where it
        was run on a part of them: a figure of all rows.
        """
        subject = self._pair.subject
        rows = subject.test if reported.means.held_out else subject.train
        if rows is None or not rows.cut or rows.total is None:
            return []
        pool = self.evaluation if reported.means.held_out else self.training
        batches = [-(-count // rows.batch) for count in (rows.total, len(rows))]
        factors = {RIGHT: rows.total / len(rows), BATCHES: batches[0] / batches[1]}
        return [
            found
            for way, factor in factors.items()
            for found in explanations(
                [value * factor for value in reported.series], _chosen(pool, reported.means.figure)
            )
            if found.way == way and found.quantity.usual
        ]

    def returned_raw(self, reported: Reported) -> bool:
        """Whether a figure of `fit` is what a `train_step` of the user's own returned, and no
        metric's: Keras reports what it returned for the last batch.
        """
        models = [call.model for call in self.side.trace.fits]
        return bool(models) and all(
            type(model).train_step is not keras.Model.train_step
            and reported.name not in model.get_metrics_result()
            for model in models
        )

    def like(self, quantity: Quantity) -> Quantity | None:
        """This side's quantity of the same meaning."""
        pool = self.evaluation if quantity.held_out else self.training
        wanted = (quantity.figure, quantity.said)
        return next((own for own in pool if (own.figure, own.said) == wanted), None)

    def usual(self, quantity: Quantity) -> Quantity | None:
        """What the figure usually means here."""
        pool = self.evaluation if quantity.held_out else self.training
        return next((own for own in pool if own.figure == quantity.figure and own.usual), None)

    @functools.cached_property
    def training(self) -> list[Quantity]:
        """From what was seen in the steps; where targets are not known, the losses alone."""
        parts = self._parts
        steps, first = self.side.steps, self.side.first_epoch
        if not parts:
            unknown = [(None, None)] * len(steps)
            known = all(step.target is not None for step in steps)
            halves = (slice(first), slice(first, None)) if known else ()
            seen = [answered_in_training(steps[half], unknown[half]) for half in halves]
            return list(losses_of(seen, None, self._names)) if known else []
        epochs = [
            answered_in_training(steps[:first], parts[:first]),
            answered_in_training(steps[first:], parts[first:]),
        ]
        return self._quantities(epochs)

    @functools.cached_property
    def after(self) -> list[Quantity]:
        """Over the batches of each epoch, from the weights at its end."""
        parts, epochs = self._parts, []
        for start, end in ((0, self.side.ends[0]), self.side.ends):
            steps = self.side.steps[start:end]
            if not parts or not steps or (weights := steps[-1].after) is None:
                return []
            epochs.append(answered_from(steps, parts[start:end], weights))
        return [replace(quantity, after=True) for quantity in self._quantities(epochs)]

    @functools.cached_property
    def evaluation(self) -> list[Quantity]:
        """From the evaluations after both epochs; nothing where there is none after one."""
        blocks = [held_out(self._pair, block) for block in blocks_of(self.side)]
        epochs = [self._evaluated(block) for block in blocks]
        if not all(epochs):
            return []
        return [replace(quantity, held_out=True) for quantity in self._quantities(epochs)]

    def _evaluated(self, block: list[Evaluation]) -> list[Answered]:
        """Nothing where the weights or targets are not known."""
        weights = next((e.weights for e in block if e.weights is not None), None)
        if weights is None:
            end = block[0].position if block else 0
            weights = self.side.steps[end - 1].after if end else None
        if weights is None:
            return []
        data, rows = self._pair.evaluated(block)
        parts = [true_parts(e, r, data) for e, r in zip(block, rows, strict=True)]
        if any(y is None for y, _ in parts):
            return []
        return answered_from(block, parts, weights)

    def _quantities(self, epochs: Epochs) -> list[Quantity]:
        objects = list(_objects(self._pair))
        return [
            *losses_of(epochs, self._reading, self._names),
            *figures_of(epochs, self._reading, self._names, _from_logits(self._pair), objects),
        ]

    @functools.cached_property
    def _parts(self) -> list[Parts]:
        """Targets and weights of every step; nothing where some are not known."""
        train, rows = self._pair.subject.train, self.side.stream.rows
        parts = [true_parts(s, r, train) for s, r in zip(self.side.steps, rows, strict=True)]
        return [] if any(y is None for y, _ in parts) else parts


def _chosen(pool: list[Quantity], figure: str) -> list[Quantity]:
    return [q for q in pool if (q.figure == figure if figure else q.usual)]


def reported_by(side: Side) -> list[Reported]:
    """What a side returned or `fit` recorded; for one that has neither, what its metric objects
    said.
    """
    logs = _histories(side) | {k: v for k, v in side.trace.log.items() if len(v) in (1, 2)}
    if logs:
        found = [Reported(name, figure_name(name), series) for name, series in logs.items()]
    else:
        found = [
            Reported(name, figure_name(name, numbered=True), series)
            for name, series in _of_metrics(side).items()
        ]
    return [_as_share(reported) for reported in found]


def _histories(side: Side) -> Series:
    """What `fit` recorded, in one call for both epochs or in a call for each."""
    found: Series = {}
    for call in side.trace.fits:
        for name, values in (call.history or {}).items():
            found[name] = found.get(name, []) + values
    return {name: values for name, values in found.items() if len(values) == 2}


def _as_share(reported: Reported) -> Reported:
    """A share that is reported in percent, as a share."""
    of_share = reported.means.figure.split(" ")[-1] in _SHARES
    if not of_share or not 1 < max(reported.series) <= 100:
        return reported
    return replace(reported, series=[value / 100 for value in reported.series])


def _of_metrics(side: Side) -> Series:
    """What metric objects said when they were read at the end of each epoch.

    Those that were reset within an epoch are of a part of it; those that said two things at one
    moment are of training and of evaluation, and it is not known which is which.
    """
    found: dict[str, list[float]] = {}
    for metric in {id(event.metric): event.metric for event in side.trace.metrics}.values():
        events = [event for event in side.trace.metrics if event.metric is metric]
        resets = {event.position for event in events if event.kind == "reset_state"}
        if any(position not in (0, *side.ends) for position in resets):
            continue
        said = [
            {
                e.value
                for e in events
                if e.kind == "result" and e.position == end and e.value is not None
            }
            for end in side.ends
        ]
        if all(len(values) == 1 for values in said):
            name = metric.name if metric.name not in found else f"{metric.name} ({len(found)})"
            found[name] = [values.pop() for values in said]
    return found


def _output_names(step: Step) -> list[str]:
    outputs = len(keras.tree.flatten(step.outputs))
    names = list(getattr(step.model, "output_names", None) or [])
    return names if len(names) == outputs else [str(number) for number in range(outputs)]


def _from_logits(pair: Pair) -> bool:
    """Whether some loss says that it takes logits."""
    for side in pair.sides:
        step = side.steps[0]
        compiled = getattr(getattr(step.model, "_compile_loss", None), "_flat_losses", None) or []
        losses = [call.loss for call in step.losses] + [one.loss for one in compiled]
        if any(getattr(loss, "from_logits", False) for loss in losses):
            return True
    return False


def _objects(pair: Pair) -> Iterator[Definition]:
    """What the metric objects of both sides compute, each once."""
    seen = set()
    for side in pair.sides:
        compiled = getattr(side.steps[0].model, "_compile_metrics", None)
        metrics = [event.metric for event in side.trace.metrics]
        metrics += getattr(compiled, "metrics", None) or []
        for metric in {id(metric): metric for metric in metrics}.values():
            figure = figure_name(metric.name, numbered=True).figure
            definition = of_metric(metric, figure) if figure else None
            if definition is not None and (figure, definition.said) not in seen:
                seen.add((figure, definition.said))
                yield definition
