"""Simulations for metrics that are means of errors (mean absolute error, Poisson deviance): do
intervals cover, do verdicts err as seldom as they say?

python benchmarks/statistics_errors.py [--runs 2000] [--json FILE]

An example's error depends on how hard the example is, which twins have in common, and on the
training. `light` is the absolute value of normal residuals; `skewed` of log-normal ones, of which a
few examples make most of the mean; `counts` is the Poisson deviance. Seeds shift a model's skill.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (30, 200, 1000, 10_000)
SEEDS = (1, 2, 3, 5)
KINDS = ("light", "skewed", "counts")
SKILL = 0.02  # standard deviation of a seed's factor on all errors
WORSE = 0.03  # of the loop's errors, where there is a difference to be covered
SLICES = 13
LEVEL = 0.05


def errors(
    rng: np.random.Generator, kind: str, seeds: int, n: int, worse: float, skill: float
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of fit and loop, [seeds, n] each; the loop's are larger by the share `worse`."""
    found = []
    hard = rng.normal(size=n)  # what both twins cannot know of an example
    count = rng.poisson(np.exp(0.5 * rng.normal(size=n) + 1)) if kind == "counts" else None
    for extra in (0.0, worse):
        rows = []
        for _ in range(seeds):
            residual = hard + 0.3 * rng.normal(size=n)
            factor = (1 + extra) * np.exp(skill * rng.normal())
            if kind == "light":
                rows.append(factor * np.abs(residual))
            elif kind == "skewed":
                rows.append(factor * np.exp(1.2 * residual))
            else:
                expected = np.exp(0.5 * residual + 1)
                some = np.where(count > 0, count, 1)
                surprise = np.where(count > 0, count * np.log(some / expected), 0.0)
                rows.append(factor * 2 * (surprise - (count - expected)))
        found.append(np.array(rows))
    return found[0], found[1]


def expected_error(kind: str) -> float:
    """The mean error of fit over the population, by a large sample of its own."""
    rng = np.random.default_rng(99)
    return float(errors(rng, kind, 1, 4_000_000, 0.0, 0.0)[0].mean())


def coverage(kind: str, seeds: int, n: int, skill: float, runs: int) -> dict[str, Any]:
    """How often 95 % intervals hold the truth, and how often each side is missed."""
    from twintrain.statistics.paired import paired_estimate

    rng = np.random.default_rng([len(kind), seeds, n, round(1000 * skill)])
    truth = WORSE * expected_error(kind) * np.exp(skill**2 / 2)
    covered = 0
    for _ in range(runs):
        fit, loop = errors(rng, kind, seeds, n, WORSE, skill)
        estimate = paired_estimate(loop - fit, bounded=False)
        covered += estimate.low <= truth <= estimate.high
    return {"kind": kind, "seeds": seeds, "n": n, "skill": skill, "covered": covered / runs}


def alike(kind: str, seeds: int, skill: float, runs: int) -> dict[str, Any]:
    """A/A: how often a report (overall, and slices after Holm) calls a winner where none is."""
    from twintrain.statistics.paired import holm, paired_estimate, verdict

    rng = np.random.default_rng([len(kind), seeds, 5, round(1000 * skill)])
    overall = family = 0
    for _ in range(runs):
        fit, loop = errors(rng, kind, seeds, 4000, 0.0, skill)
        d = loop - fit
        groups = [d, *(d[:, rng.permutation(4000)[:400]] for _ in range(SLICES))]
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

    rng = np.random.default_rng([len(kind), seeds, n, 7])
    margin, found = WORSE * expected_error(kind), 0
    for _ in range(runs):
        fit, loop = errors(rng, kind, seeds, n, WORSE, 0.0)
        found += paired_estimate(loop - fit, bounded=False).equivalence_p(margin) < LEVEL
    return {"kind": kind, "seeds": seeds, "n": n, "false": found / runs}


def jobs(runs: int) -> Iterator[tuple[str, Any, tuple]]:
    for kind in KINDS:
        for seeds in SEEDS:
            for skill in (0.0, SKILL) if seeds > 1 else (0.0,):
                yield "A/A: a winner is called", alike, (kind, seeds, skill, runs)
                for n in SIZES:
                    few = runs if n <= 1000 else runs // 4
                    yield "coverage of 95 % intervals", coverage, (kind, seeds, n, skill, few)
        for seeds in (1, 3, 5):
            for n in (1000, 10_000):
                yield "equivalence at the margin", equivalence, (kind, seeds, n, runs)


def work(job: tuple[str, Any, tuple]) -> tuple[str, dict[str, Any]]:
    name, function, arguments = job
    return name, function(*arguments)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    todo = list(jobs(options.runs))
    with get_context("spawn").Pool(2) as pool:
        for number, (name, row) in enumerate(pool.imap(work, todo), start=1):
            found.setdefault(name, []).append(row)
            print(f"{number}/{len(todo)} {name}: {json.dumps(row)}", flush=True)
    print(json.dumps(summarize(found), indent=1))
    if options.json:
        from machine import describe

        content = {
            "runs": options.runs,
            "summary": summarize(found),
            "machine": describe(),
            **found,
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def summarize(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
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
        for kind in KINDS
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
