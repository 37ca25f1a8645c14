"""A TFMA metric that pairs the predictions of candidate and baseline example by example.

It is an ordinary Beam combiner: it runs in the Evaluator's own graph, on any runner, for any slices
and crosses of slices, and what it yields are scalars that TFMA's views show beside its other
metrics (with `_diff` added to the name, as to every metric that looks at two models). Per slice:

    paired_n                    examples
    paired_both_right, paired_only_baseline, paired_only_candidate, paired_both_wrong
                                the 2x2 table
    paired_baseline_accuracy, paired_candidate_accuracy, paired_difference
                                shares of 1
    paired_low, paired_high     95 % interval of the difference (Tango 1998)
    paired_mcnemar_p            McNemar's exact test, two-sided
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, fields
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import model_util

from twintrain.problems.find import class_at
from twintrain.statistics.paired import PairedTable

PREFIX = "paired_"
_TABLE = {
    "both_right": "both_right",
    "only_fit": "only_baseline",
    "only_loop": "only_candidate",
    "both_wrong": "both_wrong",
}
FIGURES = (
    "n",
    *_TABLE.values(),
    "baseline_accuracy",
    "candidate_accuracy",
    "difference",
    "low",
    "high",
    "mcnemar_p",
)
_Counts = tuple[int, int, int, int]


class PairedScores(metric_types.Metric):
    """Paired scores of every candidate against the baseline, by the problem of that import path
    (`module:Class`): what is right is its to say.
    """

    def __init__(self, problem: str, name: str = PREFIX) -> None:
        super().__init__(_computations, name=name, problem=problem)


metric_types.register_metric(PairedScores)


def table_from(metrics: dict[str, float]) -> PairedTable:
    """The 2x2 table of one slice.

    Args:
        metrics: metric name -> value, as TFMA wrote them.
    """
    return PairedTable(
        **{field: round(metrics[f"{PREFIX}{name}"]) for field, name in _TABLE.items()}
    )


def _computations(
    problem: str,
    name: str = PREFIX,
    eval_config: config_pb2.EvalConfig | None = None,
    model_names: Iterable[str] | None = None,
    output_names: Iterable[str] | None = None,
    example_weighted: bool = False,
) -> metric_types.MetricComputations:
    baseline = model_util.get_baseline_model_spec(eval_config)
    if baseline is None:
        raise ValueError(
            "PairedScores compares with a baseline; mark one model_spec with is_baseline"
        )
    computations = []
    for model in model_names or [""]:
        if model == baseline.name:
            continue
        for output in output_names or [""]:
            keys = {
                figure: metric_types.MetricKey(
                    name=f"{name}{figure}",
                    model_name=model,
                    output_name=output,
                    example_weighted=example_weighted,
                    is_diff=True,
                )
                for figure in FIGURES
            }
            models = {"fit": baseline.name, "loop": model}
            combiner = _PairedCombiner(eval_config, problem, models, output, keys)
            computations.append(
                metric_types.MetricComputation(
                    keys=list(keys.values()), preprocessors=None, combiner=combiner
                )
            )
    return computations


class _PairedCombiner(beam.CombineFn):
    """Adds up the 2x2 table."""

    def __init__(
        self,
        eval_config: config_pb2.EvalConfig,
        problem: str,
        models: dict[str, str],
        output: str,
        keys: dict[str, metric_types.MetricKey],
    ) -> None:
        self._eval_config, self._problem, self._models = eval_config, problem, models
        self._output, self._keys = output, keys

    def create_accumulator(self) -> _Counts:
        return (0, 0, 0, 0)

    def add_input(
        self, accumulator: _Counts, element: metric_types.StandardMetricInputs
    ) -> _Counts:
        fit, loop = (self._right(element, self._models[twin]) for twin in ("fit", "loop"))
        cell = {(True, True): 0, (True, False): 1, (False, True): 2, (False, False): 3}[fit, loop]
        counts = list(accumulator)
        counts[cell] += 1
        return counts[0], counts[1], counts[2], counts[3]

    def merge_accumulators(self, accumulators: Iterable[_Counts]) -> _Counts:
        a, b, c, d = (sum(cells) for cells in zip(*accumulators, strict=True))
        return a, b, c, d

    def extract_output(self, accumulator: _Counts) -> dict[metric_types.MetricKey, float]:
        table = PairedTable(*accumulator)
        estimate = table.estimate()
        values: dict[str, Any] = {
            "n": table.n,
            **dict(zip(_TABLE.values(), astuple(table), strict=True)),
            "baseline_accuracy": (table.both_right + table.only_fit) / table.n,
            "candidate_accuracy": (table.both_right + table.only_loop) / table.n,
            "difference": estimate.difference,
            "low": estimate.low,
            "high": estimate.high,
            "mcnemar_p": table.mcnemar_p,
        }
        return {self._keys[figure]: float(value) for figure, value in values.items()}

    def _right(self, element: metric_types.StandardMetricInputs, model: str) -> bool:
        ((label, prediction, _),) = metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=model,
            output_name=self._output,
            flatten=False,
            allow_none=False,
        )
        outputs = np.asarray(prediction).reshape(1, -1)
        if not np.isfinite(outputs).all():
            return False  # a model that predicts NaN is right about nothing
        targets = np.asarray(label).reshape(1)
        return bool(class_at(self._problem).scores(targets, outputs)[0] == 1)


assert tuple(_TABLE) == tuple(field.name for field in fields(PairedTable))
