"""How often does "slice accuracy" alarm for nothing over twelve spans, and what does it see?

python benchmarks/trend_alarms.py [--runs 1000] [--json FILE]

Ten slices, as of ten labels, of 100 or 1,000 test examples each; accuracies from 92 to 96.5 %,
which vary from span to span beyond the luck of the draw: not at all, each slice by itself
(normally, or with Student's heavy tails at 4 degrees of freedom), all slices together, or one slice
eight times as much as the others. The alarm may err in a third of 5 % over all spans to come."""

from __future__ import annotations

import argparse
import json
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import machine
import numpy as np

from twintrain.statistics.paired import holm
from twintrain.trend.accuracy_drops import Course, drop_p_values
from twintrain.trend.monitor import DROP_POINTS, spent

SPANS, SIZES = 12, (100, 1000)
ACCURACIES = np.array([0.965, 0.965, 0.94, 0.94, 0.95, 0.93, 0.96, 0.94, 0.92, 0.92])
FALL, FALLEN, LOOKS = 0.12, 3, (2, 3, 5, 10)
# Scatter between spans, points: kind, standard deviation.
SCATTER = (
    ("none", 0.0),
    ("own", 1.5),
    ("own", 4.0),
    ("heavy tails", 1.5),
    ("all alike", 1.5),
    ("all alike", 3.0),
    ("one", 4.0),
)


def accuracies(rng: np.random.Generator, kind: str, points: float, size: int) -> np.ndarray:
    """Measured, [spans, slices]."""
    wide = (SPANS, len(ACCURACIES))
    shift = {
        "none": lambda: np.zeros(wide),
        "own": lambda: rng.normal(0, 1, wide),
        "heavy tails": lambda: rng.standard_t(4, wide) / np.sqrt(2),
        "all alike": lambda: np.broadcast_to(rng.normal(0, 1, (SPANS, 1)), wide),
        "one": lambda: rng.normal(0, 1, wide) * np.array([1.0, *[1 / 8] * (wide[1] - 1)]),
    }[kind]()
    return rng.binomial(size, np.clip(ACCURACIES + shift * points / 100, 0, 1)) / size


def alarmed(found: np.ndarray, size: int) -> np.ndarray:
    """Which slices alarm at the last of these spans, by the trend's own rules; bool [slices]."""
    courses = [Course(column, np.full(len(column), float(size))) for column in found.T]
    return (
        np.array(holm(drop_p_values(courses, DROP_POINTS / 100).tolist())) < spent(len(found)) / 3
    )


def cell(job: tuple[str, float, int, int]) -> dict[str, Any]:
    """One kind of scatter at one size."""
    kind, points, size, runs = job
    rng = np.random.default_rng([size, int(10 * points), len(kind)])
    wrong, seen = 0, dict.fromkeys(LOOKS, 0)
    for _ in range(runs):
        found = accuracies(rng, kind, points, size)
        wrong += any(alarmed(found[:look], size).any() for look in range(2, SPANS + 1))
        for look in LOOKS:
            fallen = found[:look].copy()
            fallen[-1, FALLEN] = max(0.0, fallen[-1, FALLEN] - FALL)
            seen[look] += bool(alarmed(fallen, size)[FALLEN])
    return {
        "scatter": kind,
        "points": points,
        "examples_per_slice": size,
        "false_alarms_percent": round(100 * wrong / runs, 2),
        "fall_seen_percent": {
            str(look): round(100 * count / runs, 1) for look, count in seen.items()
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="simulated series per cell")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    asked = parser.parse_args()
    jobs = [(kind, points, size, asked.runs) for size in SIZES for kind, points in SCATTER]
    print(
        f"false alarms over {SPANS} spans; how often a fall of {100 * FALL:.0f} points in one "
        "slice is seen at span"
    )
    rows = []
    with get_context("spawn").Pool() as pool:
        for row in pool.imap(cell, jobs):
            rows.append(row)
            seen = "  ".join(
                f"{look}: {share:5.1f} %" for look, share in row["fall_seen_percent"].items()
            )
            print(
                f"{row['examples_per_slice']:5} per slice  {row['scatter']:11} "
                f"{row['points']:3.1f} points   "
                f"{row['false_alarms_percent']:5.2f} %   {seen}",
                flush=True,
            )
    if asked.json:
        written = {"machine": machine.describe(), "runs": asked.runs, "cells": rows}
        asked.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
