"""What a figure of one name may mean: the ways to compute it from targets and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from twintrain.diagnosis.replay.tolerances import TINY

Sums = np.ndarray
# From targets and outputs to a value for each position, or for each output.
Values = Callable[[np.ndarray, np.ndarray], np.ndarray]
# To what is predicted and what is there.
Cut = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

# Thresholds of binary figures besides the usual ones, and numbers of classes that may be right.
_THRESHOLDS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.6, 0.7, 0.75, 0.8, 0.9)
_TOP = (2, 3, 5, 10)
# From true positives, those predicted and those there.
_OF_POSITIVES: dict[str, Callable[[Sums], float]] = {
    "precision": lambda s: _share(s[0], s[1]),
    "recall": lambda s: _share(s[0], s[2]),
    "f1": lambda s: _share(2 * s[0], s[1] + s[2]),
}
_OBJECTS = {"precision": "Precision(thresholds", "recall": "Recall(thresholds"}
_OBJECTS |= {"f1": "F1Score(threshold", "accuracy": "BinaryAccuracy(threshold"}


class Answers(NamedTuple):
    """One output's answers to a batch.

    Attributes:
        y: targets, of the shape of `p`, or without its last dimension.
        p: outputs, (rows, ..., values), float32.
        counts: how much each position counts, (rows, ...); None where all count alike.
    """

    y: np.ndarray
    p: np.ndarray
    counts: np.ndarray | None = None


@dataclass(frozen=True)
class Definition:
    """One meaning of a figure.

    Attributes:
        figure: its name, as `figure_name` spells it.
        said: how it is computed, for people.
        usual: it is what the name means for these outputs and targets.
        sums: what of a batch adds up over batches.
        finish: from the sums of any number of batches to the figure.
        remedy: how to get this figure.
    """

    figure: str
    said: str
    usual: bool
    sums: Callable[[Answers], Sums]
    finish: Callable[[Sums], float]
    remedy: str = ""


@dataclass(frozen=True)
class Output:
    """What is known of one output, over all its batches.

    Attributes:
        targets: 'one number' (so is the output), 'class numbers', 'one-hot' or 'many-hot'.
        classes: values per row.
        logits: the outputs are no probabilities.
        low, high: of all outputs.
        signed: some targets are below zero.
        kind: of its loss: 'sparse', 'dense', 'binary' or 'other'.
    """

    targets: str
    classes: int
    logits: bool
    low: float
    high: float
    signed: bool
    kind: str

    @property
    def said(self) -> str:
        """What the outputs are, in the user's figures."""
        kind = "logits" if self.logits else "no logits"
        return f"the outputs are {kind} (from {self.low:.3g} to {self.high:.3g})"


def look_at(batches: list[Answers], kind: str, from_logits: bool) -> Output | None:
    """What is known of an output; None where targets and outputs do not go together.

    Args:
        batches: all of them.
        kind: of its loss: 'sparse', 'dense', 'binary' or 'other'.
        from_logits: the loss says that it takes logits.
    """
    if any(b.p.ndim < 2 or b.y.ndim == 0 or b.y.dtype.kind not in "biuf" for b in batches):
        return None
    p = np.concatenate([b.p.reshape(-1, b.p.shape[-1]) for b in batches])
    y = np.concatenate([b.y.reshape(-1) for b in batches])
    if not p.size:
        return None
    targets = _targets(y, p, kind)
    if targets is None:
        return None
    low, high = float(p.min()), float(p.max())
    # Numbers beyond 0 and 1 are logits to a cross-entropy; to a squared error they are just that.
    logits = from_logits or ((low < 0 or high > 1) and kind != "other")
    return Output(targets, p.shape[-1], logits, low, high, bool((y < 0).any()), kind)


def _targets(y: np.ndarray, p: np.ndarray, kind: str) -> str | None:
    if len(y) == len(p):
        return "one number" if p.shape[-1] == 1 else "class numbers"
    if len(y) != p.size:
        return None
    rows = y.reshape(p.shape)
    one_each = ((rows == 0) | (rows == 1)).all() and (rows.sum(-1) == 1).all()
    return "one-hot" if one_each or kind == "dense" else "many-hot"


def definitions_of(output: Output) -> Iterator[Definition]:
    """The figures of an output, each in all its ways; the usual one is the first of its name."""
    if output.targets == "one number":
        yield from _of_one_number(output)
        yield from _errors(pairs=True)
    elif output.targets == "class numbers":
        yield from _of_class_numbers(output)
    else:
        yield from _of_many(output)
        yield from _errors(pairs=False)


def _of_one_number(output: Output) -> Iterator[Definition]:
    right = 0.0 if output.logits or output.signed else 0.5
    for threshold in (right, 0.5 - right, *_THRESHOLDS):
        yield from _of_threshold(output, threshold, threshold == right)
    cut = _cut(right, output.signed)

    def over_pairs(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        predicted, there = cut(y, p)
        return predicted.reshape(-1, 1) == there.reshape(-1)

    yield _over_pairs("accuracy", over_pairs, _ratio)
    others: dict[str, Values] = {
        "rounded": lambda y, p: np.round(p) == y.reshape(p.shape),
        "exact equality": lambda y, p: p == y.reshape(p.shape),
        "the largest of one output": lambda y, p: y.reshape(p.shape) == 0,
    }
    for said, values in others.items():
        yield _mean("accuracy", said, False, values)


def _of_threshold(output: Output, threshold: float, usual: bool) -> Iterator[Definition]:
    said = f"cut at {threshold:g}"
    cut = _cut(threshold, output.signed)

    def hits(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        predicted, there = cut(y, p)
        return predicted == there

    remedy = f"keras.metrics.{{}}={threshold}): {output.said}."
    yield _mean("accuracy", said, usual, hits, remedy.format(_OBJECTS["accuracy"]))
    for figure, finish in _OF_POSITIVES.items():
        of_figure = remedy.format(_OBJECTS[figure])
        yield Definition(figure, said, usual, _positives(cut), finish, of_figure)


def _cut(threshold: float, signed: bool) -> Cut:
    """What is predicted and what is there, as Keras compares them."""

    def cut(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        there = y.reshape(p.shape)
        predicted = (p > threshold).astype(np.float32)
        return predicted, (there > 0).astype(np.float32) if signed else there

    return cut


def _of_class_numbers(output: Output) -> Iterator[Definition]:
    yield _mean(
        "accuracy",
        "largest output",
        True,
        lambda y, p: p.argmax(-1) == _labels(y, p),
        "keras.metrics.SparseCategoricalAccuracy(): the targets are class numbers.",
    )
    yield from _top(output, _labels)
    yield _mean(
        "accuracy", "class numbers taken for one-hot rows", False, lambda y, p: p.argmax(-1) == 0
    )
    yield _mean(
        "accuracy",
        "each class by itself, cut at 0.5",
        False,
        lambda y, p: (p > 0.5) == (np.arange(p.shape[-1]) == _labels(y, p)[..., None]),
    )


def _labels(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return y.reshape(p.shape[:-1])


def _of_many(output: Output) -> Iterator[Definition]:
    """Targets as many as outputs. One-hot rows with a loss for each value by itself have two usual
    readings, and neither is wrong.
    """
    right = 0.0 if output.logits else 0.5
    one = output.targets == "one-hot"
    largest = _mean(
        "accuracy",
        "largest output",
        one,
        lambda y, p: p.argmax(-1) == y.reshape(p.shape).argmax(-1),
        "keras.metrics.CategoricalAccuracy(): the targets are one-hot rows.",
    )
    each = [
        _mean(
            "accuracy",
            f"each class by itself, cut at {threshold:g}",
            threshold == right and (not one or output.kind == "binary"),
            _each_cut(threshold),
            f"keras.metrics.BinaryAccuracy(threshold={threshold}): a row may have several "
            f"classes, and {output.said}.",
        )
        for threshold in (right, 0.5 - right)
    ]
    yield from [largest, *each] if one else [*each, largest]
    at_once = _each_cut(right)
    said = "all classes of a row at once"
    yield _mean("accuracy", said, False, lambda y, p: np.asarray(at_once(y, p).all(-1)))
    yield from _top(output, lambda y, p: y.reshape(p.shape).argmax(-1))


def _each_cut(threshold: float) -> Values:
    def hits(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        found: np.ndarray = (p > threshold) == (y.reshape(p.shape) > 0.5)
        return found

    return hits


def _top(output: Output, labels: Values) -> Iterator[Definition]:
    for k in _TOP:
        if k < output.classes:
            yield _mean("accuracy", f"among the {k} largest outputs", False, _among(k, labels))


def _among(k: int, labels: Values) -> Values:
    def among(y: np.ndarray, p: np.ndarray) -> np.ndarray:
        chosen = np.argsort(-p, axis=-1, kind="stable")[..., :k]
        found: np.ndarray = (chosen == labels(y, p)[..., None]).any(-1)
        return found

    return among


def _errors(pairs: bool) -> Iterator[Definition]:
    """Mean absolute, squared and root mean squared error; under each name, all three."""
    forms: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[Sums], float]]] = {
        "mae": (np.abs, _ratio),
        "mse": (np.square, _ratio),
        "rmse": (np.square, lambda sums: float(np.sqrt(_ratio(sums)))),
    }
    words = {
        "mae": "mean absolute error",
        "mse": "mean squared error",
        "rmse": "root of the mean squared error",
    }
    names = {"mae": "MeanAbsoluteError", "mse": "MeanSquaredError", "rmse": "RootMeanSquaredError"}
    for figure in forms:
        for form in sorted(forms, key=lambda other: other != figure):
            of, finish = forms[form]
            remedy = f"keras.metrics.{names[form]}()."
            sums = _sums(_error(of))
            yield Definition(figure, words[form], form == figure, sums, finish, remedy)
        if pairs:
            of, finish = forms[figure]
            yield _over_pairs(figure, _error_over_pairs(of), finish)


def _error(of: Callable[[np.ndarray], np.ndarray]) -> Values:
    return lambda y, p: of(y.reshape(p.shape) - p)


def _error_over_pairs(of: Callable[[np.ndarray], np.ndarray]) -> Values:
    return lambda y, p: of(y.reshape(-1, 1) - p.reshape(-1))


def _over_pairs(
    figure: str,
    values: Values,
    finish: Callable[[Sums], float],
) -> Definition:
    """Targets (N,) against outputs (N, 1): each row meets the targets of all."""

    def sums(a: Answers) -> Sums:
        found = values(a.y, a.p)
        return np.array([found.mean() * len(a.p), len(a.p)], np.float64)

    return Definition(figure, "over all pairs of rows", False, sums, finish)


def _mean(
    figure: str,
    said: str,
    usual: bool,
    values: Values,
    remedy: str = "",
) -> Definition:
    return Definition(figure, said, usual, _sums(values), _ratio, remedy)


def _sums(values: Values) -> Callable[[Answers], Sums]:
    """A mean of values, as far as each counts."""

    def sums(a: Answers) -> Sums:
        found = np.asarray(values(a.y, a.p), np.float64)
        counts = _spread(a.counts, found.shape)
        return np.array([(found * counts).sum(), counts.sum()])

    return sums


def _positives(cut: Cut) -> Callable[[Answers], Sums]:
    def sums(a: Answers) -> Sums:
        predicted, there = cut(a.y, a.p)
        counts = _spread(a.counts, predicted.shape)
        return np.array([(part * counts).sum() for part in (predicted * there, predicted, there)])

    return sums


def _spread(counts: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """How much each value counts.

    Raises:
        ValueError: the counts are of other positions.
    """
    if counts is None:
        return np.ones(shape)
    return np.broadcast_to(counts.reshape(counts.shape + (1,) * (len(shape) - counts.ndim)), shape)


def _ratio(sums: Sums) -> float:
    return _share(sums[0], sums[1])


def _share(part: float, whole: float) -> float:
    return float(part / whole) if abs(whole) > TINY else 0.0
