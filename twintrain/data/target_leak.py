"""Target leakage: a single column that gives the target away.

    for leak in target_leaks(train, classes=True):
        print(leak.text)

A column that is filled in after the fact, or a copy of the target under another name, makes any
model look perfect, and two twins alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import rankdata

from twintrain.data.columns import BARE
from twintrain.data.example_store import ExampleStore

LOOKED_AT = 20_000  # training examples, evenly spaced
_FEWEST = 100  # of less nothing can be told
TOLD = 0.999  # share of the examples whose class a column tells
_PER_VALUE = 5  # examples of a value that tells a class, at least
_PER_CLASS = 20  # examples of a class, at least, on average
_RARE = 10  # examples outside of the largest class, at least
RANKED = 0.9999  # rank correlation with a number
_MOST_FEATURES = 1000  # of an input that is one row of numbers


class TargetLeak(BaseModel):
    """One column that tells the target by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(description="the model's input, as prepared")
    figure: float = Field(
        description="share of the training examples whose class it tells, or its rank correlation "
        "with the number to predict"
    )
    classes: bool = Field(description="whether the target is a class")
    label: str = Field("", description="which of several labels it tells; '' where there is one")

    @property
    def text(self) -> str:
        """In two sentences."""
        share = math.floor(1000 * self.figure) / 10  # never more than it is
        if self.label:
            how = f"tells {self.label!r} of {share:.1f}% of the training examples"
        elif self.classes:
            how = f"tells the class of {share:.1f}% of the training examples"
        else:
            how = (
                "puts the training examples in the order of their targets (rank correlation "
                f"{self.figure:.5f})"
            )
        return (
            f"Input {self.column} alone {how}. If it is filled in when the target is known, leave "
            "it out; if it names rows that belong together, or counts time, keep these apart when "
            "the data is split."
        )


def target_leaks(
    train: ExampleStore, classes: bool, labels: Sequence[str] = ()
) -> list[TargetLeak]:
    """Columns of one value per example, or single features of a row of numbers, that tell the
    target; none where inputs are images, signals or sequences of codes.

    Of classes: each of its values goes with one class, or a few thresholds part the classes. Of
    numbers: both are in the same order, or in the opposite one (Spearman's rank correlation).

    Args:
        train: targets of one value each, or of several labels.
        classes: whether targets are classes.
        labels: what the labels are called, where an example has several; without, nothing is told
            of such.
    """
    count = len(train)
    if count < _FEWEST:
        return []
    places = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(np.int64))
    targets = np.asarray(train.targets)[places].reshape(len(places), -1)
    names = tuple(labels) or ("",)
    if targets.shape[1] != len(names):
        return []
    if classes or labels:
        found = _telling(train, places, dict(zip(names, targets.T, strict=True)))
    else:
        found = _ranking(train, places, targets[:, 0])
    return list(found)


def _telling(
    train: ExampleStore, places: npt.NDArray[np.int64], wanted: dict[str, npt.NDArray[Any]]
) -> Iterator[TargetLeak]:
    """Leaks of classes, or of each of several labels by its name."""
    for name, values in _features(train, places):
        grouped = np.unique(values, return_inverse=True, return_counts=True)
        for label, targets in wanted.items():
            figure = _told(values, grouped[1:], targets)
            if figure is not None and figure >= TOLD:
                yield TargetLeak(column=name, figure=round(figure, 6), classes=True, label=label)


def _ranking(
    train: ExampleStore, places: npt.NDArray[np.int64], wanted: npt.NDArray[Any]
) -> Iterator[TargetLeak]:
    """Leaks of numbers."""
    for name, values in _features(train, places):
        figure = _ranked(values, wanted)
        if figure is not None and figure >= RANKED:
            yield TargetLeak(column=name, figure=round(figure, 6), classes=False)


def _features(
    train: ExampleStore, places: npt.NDArray[np.int64]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Every single value that examples have, by name, where all are numbers."""
    for name, values in _single_values(train, places):
        if values.dtype.kind != "f" or np.isfinite(values).all():
            yield name, values


def _single_values(
    train: ExampleStore, places: npt.NDArray[np.int64]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name, column in train.columns.items():
        if len(column.shape) == 0 or column.shape == (1,):
            yield repr(name), np.asarray(column.values(places)).reshape(-1)
        elif len(column.shape) == 1 and column.shape[0] <= _MOST_FEATURES:
            values = np.asarray(column.values(places))
            if values.dtype.kind == "f":
                of = "" if name == BARE else f" of {name!r}"
                for place in range(values.shape[1]):
                    yield f"feature {place}{of}", values[:, place]


def _told(
    values: npt.NDArray[Any],
    grouped: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    wanted: npt.NDArray[Any],
) -> float | None:
    """Share of the examples whose class a column tells; None where it does not tell classes.

    Args:
        values: of the column.
        grouped: which of its different values each example has, and how many examples have each.
        wanted: classes.

    What is told of a value is told by several examples of it. A value that few examples have tells
    nothing by itself: of these, only a few thresholds that part all of them count.
    """
    value, examples = grouped
    _, label, sizes = np.unique(wanted, return_inverse=True, return_counts=True)
    count, kinds, outside = len(wanted), len(sizes), len(wanted) - int(sizes.max())
    if outside < _RARE or kinds * _PER_CLASS > count:
        return None
    often = examples[value] >= _PER_VALUE
    pairs, times = np.unique(np.stack([value[often], label[often]]), axis=1, return_counts=True)
    largest = np.zeros(len(examples), np.int64)
    np.maximum.at(largest, pairs[0], times)
    wrong = int(often.sum()) - int(largest.sum())
    rest = label[~often][np.argsort(values[~often], kind="stable")]
    parted = 1 + int(np.count_nonzero(np.diff(rest))) <= 2 * kinds
    if len(rest) and not (parted and len(rest) >= _RARE * kinds):
        wrong += len(rest) - int(np.bincount(rest).max())
    return None if wrong > outside / 10 else 1 - wrong / count


def _ranked(values: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float | None:
    """Absolute rank correlation; None where one of the two does not vary."""
    a, b = rankdata(values), rankdata(wanted)
    if not np.ptp(a) or not np.ptp(b):
        return None
    return abs(float(np.corrcoef(a, b)[0, 1]))


def with_target_leaks(data: dict[str, Any], leaks: list[TargetLeak]) -> dict[str, Any]:
    """What is told of each split, with the leaks beside that of the training split."""
    if not leaks:
        return data
    told = [leak.model_dump(mode="json") for leak in leaks]
    return data | {"train": data["train"] | {"target_leaks": told}}


def told_leaks(data: dict[str, Any]) -> list[str]:
    """A sentence for each leak of `with_target_leaks`."""
    known = data["train"].get("target_leaks", [])
    return [TargetLeak.model_validate(leak).text for leak in known]
