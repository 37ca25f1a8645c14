"""A TFMA metric that pairs the predictions of candidate and baseline example by example.

It is an ordinary Beam combiner: it runs in the Evaluator's own graph, on any runner, for any slices
and crosses of slices, and what it yields are scalars that TFMA's views show beside its other
metrics (with `_diff` added to the name, as to every metric that looks at two models). Per slice:

    paired_n                    examples
    paired_baseline, paired_candidate, paired_difference
                                the task's metric, and candidate minus baseline (NaN where there
                                is no such metric, as of one class alone)
    paired_low, paired_high     95 % interval of the difference: Tango's (1998) where the metric
                                counts right and wrong, Student's elsewhere (of no width for one
                                example, which says nothing)

    score                       the task's metric of each model by itself; the thresholds of a
                                blessing are set on it, so that what is compared decides

and where it counts right and wrong:

    paired_both_right, paired_only_baseline, paired_only_candidate, paired_both_wrong
                                the 2x2 table
    paired_mcnemar_p            McNemar's exact test, two-sided
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, fields
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import model_util

from components.judging import Judge, Rows, RowsCombiner
from twintrain.problems.task import task_at
from twintrain.statistics.paired import PairedTable, paired_estimate

PREFIX, SCORE = "paired_", "score"
Keys = dict[str, metric_types.MetricKey]
_TABLE = {
    "both_right": "both_right",
    "only_fit": "only_baseline",
    "only_loop": "only_candidate",
    "both_wrong": "both_wrong",
}
FIGURES = ("n", "baseline", "candidate", "difference", "low", "high")
COUNTED = (*_TABLE.values(), "mcnemar_p")


class _Sums(NamedTuple):
    """What is added up over examples."""

    n: int = 0
    fit: float = 0.0
    loop: float = 0.0
    both: int = 0  # right
    only_fit: int = 0
    only_loop: int = 0


class PairedScores(metric_types.Metric):
    """Paired scores of every candidate against the baseline, by a task in text (`Task.text`): what
    is right, or how large an error is, is its to say.
    """

    def __init__(self, task: str, name: str = PREFIX) -> None:
        super().__init__(_computations, name=name, task=task)


metric_types.register_metric(PairedScores)


class Counts(NamedTuple):
    """What was counted on one slice."""

    n: int
    fit_score: float
    loop_score: float


def counted(metrics: Mapping[str, float]) -> Counts:
    """What was counted on one slice.

    Args:
        metrics: metric name -> value, as TFMA wrote them.
    """
    return Counts(
        round(metrics[f"{PREFIX}n"]),
        metrics[f"{PREFIX}baseline"],
        metrics[f"{PREFIX}candidate"],
    )


def _computations(
    task: str,
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
    judge = task_at(task)
    figures = (*FIGURES, *(COUNTED if judge.metric.counts else ()))
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
                for figure in figures
            }
            models = {"fit": baseline.name, "loop": model}
            # Of each model by itself, as TFMA's thresholds want it: they are given by this name,
            # which says nothing of weights.
            keys |= {
                twin: metric_types.MetricKey(SCORE, of, output, example_weighted=None)
                for twin, of in models.items()
            }
            kind = _PairedCombiner if judge.metric.counts else _PairedRowsCombiner
            combiner = kind(Judge(judge, eval_config, output), models, keys)
            computations.append(
                metric_types.MetricComputation(
                    keys=list(keys.values()), preprocessors=None, combiner=combiner
                )
            )
    return computations


class _PairedCombiner(beam.CombineFn):
    """Adds up scores and the 2x2 table, of what is right or wrong."""

    def __init__(self, judge: Judge, models: dict[str, str], keys: Keys) -> None:
        self._judge, self._models, self._keys = judge, models, keys

    def create_accumulator(self) -> _Sums:
        return _Sums()

    def add_input(self, accumulator: _Sums, element: metric_types.StandardMetricInputs) -> _Sums:
        fit, loop = (self._judge.score(element, self._models[twin]) for twin in ("fit", "loop"))
        sums = accumulator
        return _Sums(
            sums.n + 1,
            sums.fit + fit,
            sums.loop + loop,
            sums.both + (fit == 1 == loop),
            sums.only_fit + (fit == 1 != loop),
            sums.only_loop + (loop == 1 != fit),
        )

    def merge_accumulators(self, accumulators: Iterable[_Sums]) -> _Sums:
        return _Sums(*map(sum, zip(*accumulators, strict=True)))

    def extract_output(self, accumulator: _Sums) -> dict[metric_types.MetricKey, float]:
        sums = accumulator
        values: dict[str, Any] = {
            "n": sums.n,
            "baseline": sums.fit / sums.n,
            "candidate": sums.loop / sums.n,
            "difference": (sums.loop - sums.fit) / sums.n,
        }
        wrong = sums.n - sums.both - sums.only_fit - sums.only_loop
        table = PairedTable(sums.both, sums.only_fit, sums.only_loop, wrong)
        estimate = table.estimate()
        values |= {"low": estimate.low, "high": estimate.high, "mcnemar_p": table.mcnemar_p}
        values |= dict(zip(_TABLE.values(), astuple(table), strict=True))
        return _told(values, self._keys)


class _PairedRowsCombiner(RowsCombiner):
    """Keeps what both twins say, of any other measure."""

    def __init__(self, judge: Judge, models: dict[str, str], keys: Keys) -> None:
        super().__init__(judge, (models["fit"], models["loop"]))
        self._keys = keys

    def extract_output(self, accumulator: Rows) -> dict[metric_types.MetricKey, float]:
        fit, loop = self.scores(accumulator)
        values = {
            "n": len(fit),
            "baseline": fit.mean(),
            "candidate": loop.mean(),
            "difference": loop.mean() - fit.mean(),
        }
        values |= dict.fromkeys(("low", "high"), values["difference"])
        if len(fit) > 1 and np.isfinite(values["difference"]):
            estimate = paired_estimate((loop - fit)[None], bounded=False)
            values |= {"low": estimate.low, "high": estimate.high}
        return _told(values, self._keys)


def _told(values: Mapping[str, Any], keys: Keys) -> dict[metric_types.MetricKey, float]:
    values = {**values, "fit": values["baseline"], "loop": values["candidate"]}
    return {keys[figure]: float(value) for figure, value in values.items()}


assert tuple(_TABLE) == tuple(field.name for field in fields(PairedTable))
