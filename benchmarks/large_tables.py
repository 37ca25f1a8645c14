"""Tables that are large in one way each: 1,000 classes, 200 columns with many gaps, 100,000 short
texts. From `twintrain new` to the verdict; seconds, and the peak memory of all processes together.

python benchmarks/large_tables.py [--only classes columns texts] [--rows N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe
from run_cost import measured

LIMIT_MB = 4000
# Each is trained once by each twin; what costs memory is all there.
SHORT = ("seeds=[0]", "training.epochs=1")


def classes(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """1,000 classes, which two of four numbers decide."""
    label = rng.integers(0, 1000, rows)
    noise = rng.normal(0, 0.05, (rows, 4))
    columns = np.stack([label // 32 / 32, label % 32 / 32, *np.zeros((2, rows))], axis=1) + noise
    frame = pd.DataFrame(columns, columns=[f"x{place}" for place in range(4)])
    return frame.assign(label=[f"class {one}" for one in label])


def columns(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """150 numbers and 50 categories, four cells of ten empty."""
    numbers = rng.normal(size=(rows, 150))
    label = np.where(numbers[:, :5].sum(axis=1) > 0, "yes", "no")
    numbers[rng.random(numbers.shape) < 0.4] = np.nan
    frame = pd.DataFrame(numbers, columns=[f"n{place}" for place in range(150)])
    codes = pd.DataFrame(
        rng.integers(0, 30, (rows, 50)), columns=[f"c{place}" for place in range(50)]
    ).map("v{}".format)
    return pd.concat([frame, codes.mask(rng.random(codes.shape) < 0.4)], axis=1).assign(label=label)


def texts(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Texts of some ten words out of 20,000, of which a few tell the label."""
    words = np.array([f"word{number}" for number in range(20_000)])
    chosen = rng.zipf(1.3, (rows, 12)) % len(words)
    lengths = rng.integers(6, 13, rows)
    label = np.where((chosen[:, :6] % 7 == 3).any(axis=1), "yes", "no")
    said = [" ".join(words[row[:length]]) for row, length in zip(chosen, lengths, strict=True)]
    return pd.DataFrame({"said": said, "label": label})


SETS: dict[str, tuple[Callable[[int, np.random.Generator], pd.DataFrame], int]] = {
    "classes": (classes, 60_000),
    "columns": (columns, 20_000),
    "texts": (texts, 100_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for name in options.only:
        make, usual = SETS[name]
        rows = options.rows or usual
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            make(rows, np.random.default_rng(0)).to_csv("rows.csv", index=False)
            command = [sys.executable, "-m", "pipelines.cli", "new", "large"]
            subprocess.run([*command, "--data", "rows.csv", "--label", "label"], check=True)
            sets = [part for one in SHORT for part in ("--set", one)]
            seconds, peak, comparison = measured(
                ["--problem", "large.py", "--data", "rows.csv", *sets]
            )
            os.chdir("/")
        found[name] = {
            "rows": rows,
            "seconds": round(seconds, 1),
            "peak_memory_mb": round(peak),
            "verdict": comparison["verdict"],
        }
        print(f"\n{name}: {rows:,} rows, {seconds:.0f} s, {peak:,.0f} MB", comparison["verdict"])
    if options.json:
        options.json.write_text(json.dumps({**found, "machine": describe()}, indent=1) + "\n")
    sys.exit(any(one["peak_memory_mb"] > LIMIT_MB for one in found.values()))


if __name__ == "__main__":
    main()
