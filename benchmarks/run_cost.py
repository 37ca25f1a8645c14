"""Time and peak memory of a whole `twintrain run`, all its processes together.

python benchmarks/run_cost.py [--json FILE] [-- ARGUMENTS OF twintrain run]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from machine import describe

INTERVAL = 0.5


def memory_mb(process: psutil.Process) -> float:
    """Proportional set size of a process and all its descendants: shared pages are counted once."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


def measured(arguments: list[str]) -> tuple[float, float, dict[str, Any]]:
    """A whole run with these arguments: seconds, peak memory in MB, and its comparison.

    Raises:
        SystemExit: the run failed.
    """
    with tempfile.TemporaryDirectory() as root:
        started = time.perf_counter()
        command = [sys.executable, "-m", "pipelines.cli", "run", "--root", root, *arguments]
        child = psutil.Popen(command)
        peak = 0.0
        while True:
            try:
                child.wait(INTERVAL)
                break
            except psutil.TimeoutExpired:
                peak = max(peak, memory_mb(child))
        seconds = time.perf_counter() - started
        if child.returncode:
            sys.exit(child.returncode)
        text = (Path(root) / "report" / "comparison.json").read_text(encoding="utf-8")
    return seconds, peak, json.loads(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    seconds, peak, found = measured(options.arguments)
    result = {
        "arguments": options.arguments,
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(peak),
        **{key: found[key] for key in ("verdict", "gap", "gap_ci95", "parity", "recipe_hash")},
        "seeds": found["slices"][0]["seeds"],
        "train_seconds": {twin: found["twins"][twin]["train_seconds"] for twin in ("fit", "loop")},
        "machine": describe(),
    }
    print(f"\n{seconds:.0f} s, peak {peak:,.0f} MB")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
