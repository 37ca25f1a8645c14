"""Simulations for every metric that does not count right and wrong: do intervals cover, do verdicts
err as seldom as they say?

python benchmarks/statistics_measures.py [--runs 1000] [--only auc] [--json FILE]

Both twins see the same examples, and err by what an example has in common for both (how hard it is)
and by what is each training's own. `mae` and `rmse` are of normal residuals, `mae, skewed` of
log-normal ones, of which a few examples make most of the mean; the counts have a mean of about 3;
of the two classes the second has 30 % of the examples, or, `rare`, 5 %; an example has the first of
three labels in half of the cases, the others in 30 and 15 %. Seeds shift a model's skill. The truth
is the expectation over examples and seeds, from a large sample of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (200, 2000)
SEEDS = (1, 3)
SKILL = 0.02  # standard deviation of the logarithm of a seed's factor on its errors
WORSE = 0.05  # by which the loop's errors are larger, where there is a difference to be covered
EXAMPLES, SLICES, SLICE = 2000, 13, 200  # of a report in which the twins are alike
LEVEL = 0.05


@dataclass(frozen=True)
class Kind:
    """One metric on one population.

    Attributes:
        task, metric: as in a problem file.
        targets: draws them, [n] or [n, labels].
        answer: outputs [n, ...] from targets, residuals [n] (standard normal) and their size.
    """

    task: str
    metric: str
    targets: Callable[[np.random.Generator, int], np.ndarray]
    answer: Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def _number(targets: np.ndarray, residuals: np.ndarray, size: float) -> np.ndarray:
    return (targets + size * residuals)[:, None]


def _skewed(targets: np.ndarray, residuals: np.ndarray, size: float) -> np.ndarray:
    return (targets + size * np.exp(1.2 * residuals))[:, None]


def _count(targets: np.ndarray, residuals: np.ndarray, size: float) -> np.ndarray:
    return np.exp(1.0 + 0.4 * size * residuals)[:, None]


def _probability(targets: np.ndarray, residuals: np.ndarray, size: float) -> np.ndarray:
    return 1 / (1 + np.exp(-2 * (targets - 0.5) - 1.2 * size * residuals))[:, None]


def _calibrated(targets: np.ndarray, residuals: np.ndarray, size: float) -> np.ndarray:
    """Logarithms of odds as two normal populations two apart give them, true where `size` is 1."""
    return 1 / (1 + np.exp(-2 * (2 * targets - 1 + size * residuals)))[:, None]


def _several(targets: np.ndarray, residuals: np.ndarray, size: float) -> np.ndarray:
    """Of four classes, the right one loses to the next where the residual is large."""
    rows = np.full((len(targets), 4), 0.01)
    wrong = size * residuals > 1.2
    rows[np.arange(len(targets)), (targets + wrong) % 4] = 0.97
    return rows


def _three(targets: np.ndarray, residuals: np.ndarray, size: float) -> np.ndarray:
    """Of three labels, which err together."""
    return 1 / (1 + np.exp(-2 * (targets - 0.5) - 1.2 * size * residuals[:, None]))


def _normal(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=n)


def _counts(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.poisson(np.exp(0.4 * rng.normal(size=n) + 1.0)).astype(float)


def _seconds(share: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, n: (rng.random(n) < share).astype(np.int64)


def _labels(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.random((n, 3)) < [0.5, 0.3, 0.15]).astype(np.int64)


def _classes(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])


KINDS = {
    "mae": Kind("regression", "mae", _normal, _number),
    "mae, skewed": Kind("regression", "mae", _normal, _skewed),
    "rmse": Kind("regression", "rmse", _normal, _number),
    "r2": Kind("regression", "r2", _normal, _number),
    "deviance": Kind("counts", "deviance", _counts, _count),
    "log_loss": Kind("binary", "log_loss", _seconds(0.3), _probability),
    "auc": Kind("binary", "auc", _seconds(0.3), _probability),
    "auc, rare": Kind("binary", "auc", _seconds(0.05), _probability),
    "f1": Kind("binary", "f1", _seconds(0.3), _probability),
    "f1, rare": Kind("binary", "f1", _seconds(0.05), _probability),
    "f1, four classes": Kind("classification", "f1", _classes, _several),
    "brier": Kind("binary", "brier", _seconds(0.3), _probability),
    "ece": Kind("binary", "ece", _seconds(0.3), _probability),
    "ece, four classes": Kind("classification", "ece", _classes, _several),
    "ece, calibrated": Kind("binary", "ece", _seconds(0.5), _calibrated),
    "label_accuracy": Kind("multilabel", "label_accuracy", _labels, _three),
    "auc, three labels": Kind("multilabel", "auc", _labels, _three),
    "f1, three labels": Kind("multilabel", "f1", _labels, _three),
}


class Reports:
    """Twins on drawn examples.

    Args:
        kind: of `KINDS`.
        skill: see `SKILL`.
        worse: see `WORSE`.
    """

    def __init__(self, kind: str, skill: float, worse: float) -> None:
        from twintrain.problems.task import task_named

        self.kind, self.skill, self.worse = KINDS[kind], skill, worse
        self.judge = task_named(self.kind.task, metric=self.kind.metric)

    def drawn(
        self, rng: np.random.Generator, seeds: int, n: int
    ) -> tuple[np.ndarray, list[list[np.ndarray]]]:
        """Targets, and per twin and seed its outputs."""
        while True:
            targets = self.kind.targets(rng, n)
            if self.judge.measure.lacking(targets) is None:
                break
        hard, answers = rng.normal(size=n), []
        for worse in (0.0, self.worse):
            answers.append([])
            for _ in range(seeds):
                residuals = 0.95 * hard + 0.3 * rng.normal(size=n)
                size = (1 + worse) * np.exp(self.skill * rng.normal())
                answers[-1].append(self.kind.answer(targets, residuals, size))
        return targets, answers

    def differences(
        self, targets: np.ndarray, answers: list[list[np.ndarray]], chosen: Any = slice(None)
    ) -> np.ndarray:
        """Loop minus fit, [seeds, chosen]."""
        fit, loop = (
            np.stack([self.judge.scores(targets[chosen], one[chosen]) for one in of])
            for of in answers
        )
        return loop - fit

    def truth(self) -> float:
        """The expected difference, with many seeds on many examples."""
        rng = np.random.default_rng(99)
        seeds, rounds = (20, 10) if self.skill else (1, 20)
        found = [self.differences(*self.drawn(rng, seeds, 50_000)).mean() for _ in range(rounds)]
        return float(np.mean(found))


def coverage(kind: str, seeds: int, n: int, skill: float, runs: int) -> dict[str, Any]:
    """How often 95 % intervals hold the truth."""
    from twintrain.statistics.paired import paired_estimate

    reports = Reports(kind, skill, WORSE)
    rng = np.random.default_rng([list(KINDS).index(kind), seeds, n, round(1000 * skill)])
    truth, covered = reports.truth(), 0
    for _ in range(runs):
        estimate = paired_estimate(reports.differences(*reports.drawn(rng, seeds, n)), False)
        covered += estimate.low <= truth <= estimate.high
    return {"kind": kind, "seeds": seeds, "n": n, "skill": skill, "covered": covered / runs}


def alike(kind: str, seeds: int, skill: float, runs: int) -> dict[str, Any]:
    """A/A: how often a report (overall, and slices after Holm) calls a winner where none is."""
    from twintrain.statistics.paired import holm, paired_estimate, verdict

    reports = Reports(kind, skill, 0.0)
    rng = np.random.default_rng([list(KINDS).index(kind), seeds, 5, round(1000 * skill)])
    overall = family = 0
    for _ in range(runs):
        targets, answers = reports.drawn(rng, seeds, EXAMPLES)
        chosen = [rng.permutation(EXAMPLES)[:SLICE] for _ in range(SLICES)]
        there = [one for one in chosen if reports.judge.measure.lacking(targets[one]) is None]
        groups = [reports.differences(targets, answers, one) for one in (slice(None), *there)]
        found = [paired_estimate(group, bounded=False) for group in groups]
        adjusted = [found[0].p_value, *holm([one.p_value for one in found[1:]])]
        words = [verdict(e, p, 1e-9, False, False) for e, p in zip(found, adjusted, strict=True)]
        better = [word in ("fit_better", "loop_better") for word in words]
        overall += better[0]
        family += any(better[1:])
    return {
        "kind": kind,
        "seeds": seeds,
        "skill": skill,
        "overall": overall / runs,
        "slices": family / runs,
    }


def equivalence(kind: str, seeds: int, n: int, runs: int) -> dict[str, Any]:
    """How often twins that differ by exactly the margin are called equivalent."""
    from twintrain.statistics.paired import paired_estimate

    reports = Reports(kind, 0.0, WORSE)
    rng = np.random.default_rng([list(KINDS).index(kind), seeds, n, 7])
    margin, found = abs(reports.truth()), 0
    for _ in range(runs):
        d = reports.differences(*reports.drawn(rng, seeds, n))
        found += paired_estimate(d, bounded=False).equivalence_p(margin) < LEVEL
    return {"kind": kind, "seeds": seeds, "n": n, "false": found / runs}


def jobs(kinds: list[str], runs: int) -> Iterator[tuple[str, Any, tuple]]:
    for kind in kinds:
        for seeds in SEEDS:
            skill = SKILL if seeds > 1 else 0.0
            yield "A/A: a winner is called", alike, (kind, seeds, skill, runs)
            for n in SIZES:
                yield "coverage of 95 % intervals", coverage, (kind, seeds, n, skill, runs)
        yield "equivalence at the margin", equivalence, (kind, 1, SIZES[-1], runs)


def work(job: tuple[str, Any, tuple]) -> tuple[str, dict[str, Any]]:
    name, function, arguments = job
    return name, function(*arguments)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--only", choices=list(KINDS), action="append", help="this metric")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    kinds = options.only or list(KINDS)
    todo = list(jobs(kinds, options.runs))
    with get_context("spawn").Pool(2) as pool:
        for number, (name, row) in enumerate(pool.imap(work, todo), start=1):
            found.setdefault(name, []).append(row)
            print(f"{number}/{len(todo)} {name}: {json.dumps(row)}", flush=True)
    print(json.dumps(summarize(kinds, found), indent=1))
    if options.json:
        from machine import describe

        content = {
            "runs": options.runs,
            "summary": summarize(kinds, found),
            "machine": describe(),
            **found,
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def summarize(kinds: list[str], found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    rows, called = found["coverage of 95 % intervals"], found["A/A: a winner is called"]
    at_margin = found["equivalence at the margin"]
    return {
        kind: {
            "coverage, least": min(row["covered"] for row in rows if row["kind"] == kind),
            "coverage, most": max(row["covered"] for row in rows if row["kind"] == kind),
            "A/A, overall, most": max(row["overall"] for row in called if row["kind"] == kind),
            "A/A, any of 13 slices after Holm, most": max(
                row["slices"] for row in called if row["kind"] == kind
            ),
            "equivalence at the margin, most": max(
                row["false"] for row in at_margin if row["kind"] == kind
            ),
        }
        for kind in kinds
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
