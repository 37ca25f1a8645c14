"""What a task says of models' answers, inside of TFMA: example by example, where it is right or
wrong; elsewhere from all answers, which then travel between Beam's workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2

from twintrain.problems.task import Task


class Rows(NamedTuple):
    """Targets, and per model what it says of them; lists of arrays, to be joined at last."""

    targets: list[np.ndarray]
    outputs: tuple[list[np.ndarray], ...]


@dataclass(frozen=True)
class Judge:
    """A task, and where TFMA has targets and outputs."""

    task: Task
    eval_config: config_pb2.EvalConfig | None
    output_name: str

    def answer(
        self, element: metric_types.StandardMetricInputs, model: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """The target of one example, [1] or [1, labels], and what a model says of it, [1, *output
        shape].
        """
        ((label, prediction, _),) = metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self.eval_config,
            model_name=model,
            output_name=self.output_name,
            flatten=False,
            allow_none=False,
        )
        target = np.asarray(label).reshape((1, -1) if self.task.SEVERAL else 1)
        return target, np.asarray(prediction).reshape(1, -1)

    def score(self, element: metric_types.StandardMetricInputs, model: str) -> float:
        """Of one example, right (1) or wrong (0)."""
        target, outputs = self.answer(element, model)
        return float(self.scores(target, outputs)[0])

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> npt.NDArray[np.float64]:
        """Of all examples, [n]: NaN where there is no such figure for them."""
        measure = self.task.measure
        if measure.lacking(targets) is not None:
            return np.full(len(targets), np.nan)
        if np.isfinite(outputs).all():
            return measure.scores(targets, outputs)
        # A model that predicts NaN is right about nothing, and its error has no bound.
        return np.full(len(targets), 0.0 if self.task.metric.higher_is_better else np.inf)


class RowsCombiner(beam.CombineFn):
    """Keeps the answers of some models to every example."""

    def __init__(self, judge: Judge, models: tuple[str, ...]) -> None:
        self._judge, self._models = judge, models

    def create_accumulator(self) -> Rows:
        """No answers yet."""
        return Rows([], tuple([] for _ in self._models))

    def add_input(self, accumulator: Rows, element: metric_types.StandardMetricInputs) -> Rows:
        """One more example."""
        for model, kept in zip(self._models, accumulator.outputs, strict=True):
            target, outputs = self._judge.answer(element, model)
            kept.append(outputs)
        accumulator.targets.append(target)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Rows]) -> Rows:
        """The answers of all of them."""
        merged = self.create_accumulator()
        for one in accumulators:
            merged.targets.extend(one.targets)
            for kept, more in zip(merged.outputs, one.outputs, strict=True):
                kept.extend(more)
        return self.compact(merged)

    def compact(self, accumulator: Rows) -> Rows:
        """As one array of each, so that it travels well."""
        if not accumulator.targets:
            return accumulator
        return Rows(
            [np.concatenate(accumulator.targets)],
            tuple([np.concatenate(kept)] for kept in accumulator.outputs),
        )

    def scores(self, accumulator: Rows) -> list[npt.NDArray[np.float64]]:
        """Per model, of every example, [n]."""
        (targets,), outputs = self.compact(accumulator)
        return [self._judge.scores(targets, kept[0]) for kept in outputs]
