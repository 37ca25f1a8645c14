"""Replays figures: what a log should say of an epoch, and what the known mistakes would make it
say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.tolerances import (
    FEWEST_DECIMALS,
    FIGURE,
    MOST_DECIMALS,
    SAME_DECIMAL,
    Tolerance,
)

# Ways of averaging a figure over an epoch, the right one first.
RIGHT = "mean over examples"
BATCHES = "mean over batches"
LAST = "last batch"
RUNNING = "never reset"
RUNNING_BATCHES = "never reset, mean over batches"
OF_RUNNING = "mean of the running means"
BY_ROWS = "mean of the batches' figures, weighted by their rows"
SUM = "sum over batches"
TOTAL = "sum over examples"
PER_ROW = "sum over batches, divided by the rows"
FEWER = "sum over batches, divided by one fewer"
NEVER = "of a metric that is never updated"
AFTER = "after the updates"
WAYS = (
    RIGHT,
    BATCHES,
    LAST,
    RUNNING,
    RUNNING_BATCHES,
    OF_RUNNING,
    BY_ROWS,
    SUM,
    TOTAL,
    PER_ROW,
    FEWER,
    NEVER,
)

Epoch = list[np.ndarray]


@dataclass(frozen=True)
class Quantity:
    """One meaning of a figure, batch by batch, for two epochs.

    Attributes:
        figure: its name, as `figure_name` spells it.
        said: how it is computed.
        usual: it is what the name means.
        epochs: per epoch and batch, what adds up over batches.
        sizes: per epoch and batch, rows.
        finish: from the sums of any number of batches to the figure.
        held_out: it is of the evaluation.
        after: it is of the training data, from the weights the epoch ended with.
        remedy: how to get it.
    """

    figure: str
    said: str
    usual: bool
    epochs: list[Epoch]
    sizes: list[list[int]]
    finish: Callable[[Any], float]
    held_out: bool = False
    after: bool = False
    remedy: str = ""

    def series(self, way: str) -> list[float]:
        """What a log would hold."""
        if way in (RUNNING, RUNNING_BATCHES):
            ends = np.cumsum([len(epoch) for epoch in self.epochs])
            batches = [sums for epoch in self.epochs for sums in epoch]
            sizes = [size for epoch in self.sizes for size in epoch]
            once = RIGHT if way == RUNNING else BATCHES
            return [self._of(once, batches[:end], sizes[:end]) for end in ends]
        found = zip(self.epochs, self.sizes, strict=True)
        return [self._of(way, epoch, sizes) for epoch, sizes in found]

    def _of(self, way: str, epoch: Sequence[Any], sizes: Sequence[int]) -> float:
        """The figure of one epoch."""
        if not epoch:
            return float("nan")
        if way == NEVER:
            return 0.0
        if way == RIGHT:
            return self.finish(sum(epoch[1:], epoch[0]))
        if way == LAST:
            return self.finish(epoch[-1])
        if way == OF_RUNNING:
            running = [sum(epoch[1:end], epoch[0]) for end in range(1, len(epoch) + 1)]
            return float(np.mean([self.finish(sums) for sums in running]))
        values = np.array([self.finish(sums) for sums in epoch])
        if way in (TOTAL, BY_ROWS):
            total = float((values * np.array(sizes)).sum())
            return total / sum(sizes) if way == BY_ROWS else total
        divisors = {
            BATCHES: len(epoch),
            SUM: 1,
            PER_ROW: sum(sizes),
            FEWER: max(1, len(epoch) - 1),
        }
        return float(values.sum() / divisors[way])


@dataclass(frozen=True)
class Explanation:
    """A way of averaging and a quantity that give a logged series."""

    way: str
    quantity: Quantity

    @property
    def deviations(self) -> int:
        """In how much it is not the usual figure."""
        return (self.way != RIGHT) + (not self.quantity.usual) + self.quantity.after

    @property
    def averaged(self) -> str:
        """The way, for people and for the table of mistakes."""
        return AFTER if self.quantity.after else self.way

    @property
    def key(self) -> tuple[str, str, str, bool]:
        """Equal where two sides compute alike."""
        return (self.quantity.figure, self.quantity.said, self.averaged, self.quantity.held_out)


def explanations(log: list[float], quantities: list[Quantity]) -> list[Explanation]:
    """What gives a logged series, the usual figure first. A series of one value is of the last
    epoch.

    Two mistakes at once are taken for an explanation only where one is to average over batches:
    with more of them, some would fit by chance.
    """
    tolerance = tolerance_of(log)
    found = [
        Explanation(way, quantity)
        for quantity in quantities
        for way in _ways(quantity)
        if _gives(quantity.series(way), log, tolerance)
    ]
    return sorted(found, key=lambda explanation: explanation.deviations)


def _ways(quantity: Quantity) -> Iterator[str]:
    for way in WAYS:
        if quantity.after and way not in (RIGHT, BATCHES):
            continue
        if quantity.usual or way in (RIGHT, BATCHES):
            yield way


def _gives(wanted: list[float], log: list[float], tolerance: Tolerance) -> bool:
    if len(wanted) < len(log):
        return False
    return each_close(np.array(log), np.array(wanted[-len(log) :]), tolerance)


def tolerance_of(log: Sequence[float]) -> Tolerance:
    """How far a logged series may be from the truth: people round what they log."""
    values = np.array(log)
    for decimals in range(FEWEST_DECIMALS, MOST_DECIMALS + 1):
        if np.allclose(values, np.round(values, decimals), rtol=SAME_DECIMAL, atol=0):
            return Tolerance(FIGURE.rel, max(FIGURE.floor, 0.5 * 10.0**-decimals))
    return FIGURE
