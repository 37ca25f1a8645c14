"""Simulations: do intervals cover, do verdicts err as seldom as they say, do shares of a known
surface come out?

python benchmarks/statistics.py [--runs 2000] [--only PART] [--json FILE]

Every simulated example has a difficulty of its own, so that twins agree on most examples, as real
ones do; seeds shift a model's skill. Populations are beta-distributed difficulties with a mean of
the accuracy asked for."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, special, stats

SIZES = (20, 100, 1000, 10_000)
ACCURACIES = (0.5, 0.9, 0.98, 0.999)
SEEDS = (1, 2, 3, 5)
SLICES = 13  # ten labels, three inks
SKILL = 0.05  # standard deviation of a seed's skill, in probits


def twins(
    rng: np.random.Generator,
    seeds: int,
    n: int,
    accuracy: float,
    shift: float = 0.0,
    skill: float = 0.0,
) -> np.ndarray:
    """Paired differences of twins of which the loop is `shift` probits better, int8 [seeds, n]."""
    ease = special.ndtri(rng.beta(0.3 * accuracy, 0.3 * (1 - accuracy), n).clip(1e-12, 1 - 1e-12))
    found = np.empty((seeds, n), np.int8)
    for seed in range(seeds):
        fit, loop = (
            rng.uniform(size=n) < special.ndtr(ease + skill * rng.normal() + extra)
            for extra in (0.0, shift)
        )
        found[seed] = loop.astype(np.int8) - fit
    return found


@cache
def population(accuracy: float) -> np.ndarray:
    """Ease of the whole population, in probits, at equally spaced quantiles."""
    p = (np.arange(100_000) + 0.5) / 100_000
    return special.ndtri(
        stats.beta.ppf(p, 0.3 * accuracy, 0.3 * (1 - accuracy)).clip(1e-12, 1 - 1e-12)
    )


def true_gap(accuracy: float, shift: float, skill: float) -> float:
    """The difference in accuracy over the whole population, by quadrature; share of 1."""
    ease, wide = population(accuracy), np.sqrt(1 + skill**2)
    return float((special.ndtr((ease + shift) / wide) - special.ndtr(ease / wide)).mean())


def coverage(job: tuple[int, int, float, float, int, tuple[int, ...]]) -> dict[str, Any]:
    """How often 95 % intervals hold the truth, over true differences of either sign."""
    from twintrain.statistics.paired import paired_estimate

    seeds, n, accuracy, skill, runs, stream = job
    rng = np.random.default_rng([seeds, n, round(1000 * accuracy), round(1000 * skill), *stream])
    shifts = (-0.3, -0.1, 0.0, 0.1, 0.3)
    truths = [true_gap(accuracy, shift, skill) for shift in shifts]
    covered, discordant = 0, 0
    for run in range(runs):
        which = run % len(shifts)
        d = twins(rng, seeds, n, accuracy, shifts[which], skill)
        estimate = paired_estimate(d)
        covered += estimate.low <= truths[which] <= estimate.high
        discordant += int(np.count_nonzero(d))
    return {
        "seeds": seeds,
        "n": n,
        "accuracy": accuracy,
        "skill": skill,
        "covered": covered / runs,
        "discordant": discordant / runs,
    }


def possible(job: tuple[int, float]) -> dict[str, Any]:
    """The least any honest interval can cover, where one pair of twins is as good as the other.

    Honest: it nowhere covers less than 94 %, however many pairs are discordant. Outcomes are whole
        numbers, and which of
    them such an interval may leave out, so as to cover as little as possible here, is a knapsack,
    solved exactly."""
    n, accuracy = job
    ease = special.ndtr(population(accuracy))
    discordant = float(2 * (ease * (1 - ease)).mean())
    outcomes = np.array(
        [(pairs, better) for pairs in range(n + 1) for better in range(pairs + 1)]
    ).T

    def chances(share: float) -> np.ndarray:
        return stats.binom.pmf(outcomes[0], n, share) * stats.binom.pmf(
            outcomes[1], outcomes[0], 0.5
        )

    shares = [*np.linspace(0.001, 0.2, 60), *np.linspace(0.21, 1, 40)]
    found = optimize.milp(
        -chances(discordant),
        constraints=optimize.LinearConstraint(
            np.array([chances(share) for share in shares]), -np.inf, 0.06
        ),
        integrality=np.ones(outcomes.shape[1]),
        bounds=optimize.Bounds(0, 1),
    )
    return {
        "seeds": 1,
        "n": n,
        "accuracy": accuracy,
        "discordant": n * discordant,
        "least": 1 + float(found.fun),
    }


def alike(job: tuple[int, float, int]) -> dict[str, Any]:
    """A/A: how often a whole report (overall, and slices after Holm) calls a winner where there is
    none.
    """
    from twintrain.statistics.paired import holm, paired_estimate, verdict

    seeds, skill, runs = job
    rng = np.random.default_rng([seeds, round(1000 * skill)])
    overall = family = 0
    for _ in range(runs):
        d = twins(rng, seeds, 10_000, 0.98, 0.0, skill)
        groups = [
            d,
            *(d[:, rng.permutation(10_000)[: 1000 if k < 10 else 3333]] for k in range(SLICES)),
        ]
        estimates = [paired_estimate(group) for group in groups]
        adjusted = [estimates[0].p_value, *holm([e.p_value for e in estimates[1:]])]
        words = [verdict(e, p, 0.001, False) for e, p in zip(estimates, adjusted, strict=True)]
        better = [word in ("fit_better", "loop_better") for word in words]
        overall += better[0]
        family += any(better[1:])
    return {"seeds": seeds, "skill": skill, "overall": overall / runs, "slices": family / runs}


def equivalence(job: tuple[int, int, float, int, tuple[int, ...]]) -> dict[str, Any]:
    """How often twins that differ by exactly the margin are called equivalent."""
    from twintrain.statistics.paired import paired_estimate

    seeds, n, accuracy, runs, stream = job
    rng = np.random.default_rng([seeds, n, round(1000 * accuracy), 7, *stream])
    # A margin that a sample of this size can show: twice the standard error of the difference.
    margin = max(
        abs(true_gap(accuracy, 0.05, 0.0)), 5.0 * np.sqrt(0.3 * (1 - accuracy) / (n * seeds))
    )
    shift = shift_for(accuracy, margin)
    found = 0
    for _ in range(runs):
        found += paired_estimate(twins(rng, seeds, n, accuracy, shift)).equivalence_p(margin) < 0.05
    return {
        "seeds": seeds,
        "n": n,
        "accuracy": accuracy,
        "margin": 100 * float(margin),
        "false": found / runs,
    }


def shift_for(accuracy: float, gap: float) -> float:
    """The shift, in probits, that makes the loop worse by `gap`."""
    low, high = -8.0, 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if true_gap(accuracy, middle, 0.0) < -gap else (low, middle)
    return high


def shares(job: tuple[int, str, int, int]) -> dict[str, Any]:
    """How often the intervals of Shapley shares hold those of a planted response surface."""
    from twintrain.attribution.analysis import Measured
    from twintrain.attribution.design import designs
    from twintrain.problems.metric import ACCURACY

    practices, kind, seeds, runs = job
    rng = np.random.default_rng([practices, len(kind), seeds])
    (design,) = (one for one in designs(practices) if one.kind == kind)
    covered = asked = 0
    worst = 0.0
    for _ in range(runs):
        effects = rng.normal(0, 0.01, practices)
        pairs = rng.normal(0, 0.004, len(design.pairs))
        on = design.runs.astype(float)
        surface = 0.9 + on @ effects
        surface += sum(
            w * on[:, i] * on[:, j] for w, (i, j) in zip(pairs, design.pairs, strict=True)
        ) + np.zeros(len(on))
        truth = effects.copy()
        for weight, (i, j) in zip(pairs, design.pairs, strict=True):
            truth[i] += weight / 2
            truth[j] += weight / 2
        drift = rng.normal(0, 0.004, (len(on), seeds, 1))
        answers = rng.uniform(size=(len(on), seeds, 2000)) < (surface[:, None, None] + drift).clip(
            0, 1
        )
        measured = Measured(ACCURACY, answers.astype(np.float64))
        found = [measured.weighed(weights) for weights in design.shares]
        covered += sum(e.low <= value <= e.high for e, value in zip(found, truth, strict=True))
        asked += practices
        gap = answers[1].mean() - answers[0].mean()
        worst = max(worst, abs(float(sum(e.difference for e in found) - gap)))
    return {
        "practices": practices,
        "design": kind,
        "combinations": len(design.runs),
        "seeds": seeds,
        "covered": covered / asked,
        "largest_error_of_the_sum": worst,
    }


def jobs(runs: int) -> Iterator[tuple[str, Any, tuple]]:
    for seeds in SEEDS:
        for skill in (0.0, SKILL) if seeds > 1 else (0.0,):
            yield "A/A: a winner is called", alike, (seeds, skill, runs)
            for n in SIZES:
                for accuracy in ACCURACIES:
                    yield (
                        "coverage of 95 % intervals",
                        coverage,
                        (seeds, n, accuracy, skill, runs if n <= 1000 else runs // 4, ()),
                    )
    for seeds in (1, 3, 5):
        for n in (1000, 10_000):
            for accuracy in (0.9, 0.98):
                yield "equivalence at the margin", equivalence, (seeds, n, accuracy, 2 * runs, ())
    for accuracy in ACCURACIES:
        yield "least coverage that is possible", possible, (20, accuracy)
    # The two rows that stood furthest out of line above, on data of their own (the worst of many is
    # so by chance too) and with runs enough to tell chance from fault.
    yield "again, lowest coverage", coverage, (5, 10_000, 0.5, 0.0, 3 * runs, (1,))
    yield "again, highest equivalence", equivalence, (5, 10_000, 0.98, 20 * runs, (1,))
    for practices, kind in ((1, "full"), (3, "full"), (5, "pairs"), (7, "mains")):
        for seeds in (3, 5):
            yield "coverage of shares", shares, (practices, kind, seeds, runs // 4)


def work(job: tuple[str, Any, tuple]) -> tuple[str, dict[str, Any]]:
    name, function, arguments = job
    return name, function(arguments)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument(
        "--only", action="append", help="parts whose names begin so; FILE keeps the others"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    started, found = time.perf_counter(), {}
    todo = [
        job
        for job in jobs(options.runs)
        if not options.only or job[0].startswith(tuple(options.only))
    ]
    kept = (
        json.loads(options.json.read_text(encoding="utf-8"))
        if options.only and options.json
        else {}
    )
    with get_context("spawn").Pool(2) as pool:
        for number, (name, row) in enumerate(pool.imap(work, todo), start=1):
            found.setdefault(name, []).append(row)
            print(f"{number}/{len(todo)} {name}: {json.dumps(row)}", flush=True)
    found = {name: rows for name, rows in kept.items() if isinstance(rows, list)} | found
    if len(found) < len({name for name, _, _ in jobs(options.runs)}):
        return
    summary = summarize(found)
    print(json.dumps(summary, indent=1))
    if options.json:
        from machine import describe

        seconds = round(time.perf_counter() - started + kept.get("seconds", 0))
        content = {
            "runs": options.runs,
            "seconds": seconds,
            "summary": summary,
            "machine": describe(),
            **found,
        }
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def summarize(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The figures people ask for. Where fewer than ten discordant pairs are expected, no interval
    that always covers 95 % can cover only 95 %: the outcomes are too few."""
    rows = found["coverage of 95 % intervals"]
    many = [row["covered"] for row in rows if row["discordant"] >= 10]
    few = [row["covered"] for row in rows if row["discordant"] < 10]
    return {
        "coverage, 10 discordant pairs or more": {
            "least": min(many),
            "most": max(many),
            "mean": float(np.mean(many)),
        },
        "coverage, fewer": {"least": min(few), "most": max(few), "mean": float(np.mean(few))},
        "A/A, overall, most": max(row["overall"] for row in found["A/A: a winner is called"]),
        "A/A, any of 13 slices after Holm, most": max(
            row["slices"] for row in found["A/A: a winner is called"]
        ),
        "equivalence at the margin, most": max(
            row["false"] for row in found["equivalence at the margin"]
        ),
        "coverage of shares": {
            "least": min(row["covered"] for row in found["coverage of shares"]),
            "most": max(row["covered"] for row in found["coverage of shares"]),
        },
        "largest error of the sum of shares": max(
            row["largest_error_of_the_sum"] for row in found["coverage of shares"]
        ),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
