"""What is lost, or wrong without a word, when a run is killed, its disk fills or is slow, two runs
meet, or a bit of what lies on the disk flips?

python benchmarks/chaos.py [--part cuts] [--part kills] [--most N] [--seed 0] [--work DIR]
                           [--json FILE]

cuts      the run dies at every place where Python writes, syncs, links or renames a file below the
          root: each place once with what was written still there, once with what was never synced
          lost. After each cut the same command goes on from there, and dies at the next place.
kills     at random moments: the whole run, its engine, one of the engine's children, or the command
flips     single bits of what lies on the disk between two runs: what would the next run say?
reruns    the same for few flips, each with a whole run after it
disk      full in the middle of each node; slow
together  two runs at once: on one root, on two roots that share their records
long      many runs on one root: do size, start and memory stay?

What counts is the end: the same comparison.json as an undisturbed run, figure for figure, and a
sentence, never a traceback, wherever something stood in the way. The run has 1,500 digits, two
epochs, two seeds and two trials."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import chaos_disk, chaos_ends, chaos_flips, chaos_long
from benchmarks.chaos_run import Ground, Trial, ground
from benchmarks.machine import describe

Part = Callable[[Ground, dict[str, object], int, int], Iterator[Trial]]
# Each with how many it makes unless told otherwise; 0: all there are.
PARTS: dict[str, tuple[Part, int]] = {
    "cuts": (chaos_ends.cuts, 0),
    "kills": (chaos_ends.kills, 50),
    "flips": (chaos_flips.flip_all, 10_000),
    "reruns": (chaos_flips.reruns, 20),
    "disk": (chaos_disk.disks, 0),
    "together": (chaos_disk.together, 0),
    "long": (chaos_long.runs, 200),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, action="append", help="these only")
    parser.add_argument("--most", type=int, help="of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="a folder for the roots, which are kept there")
    parser.add_argument("--json", type=Path, help="write what was found here")
    asked = parser.parse_args()
    undisturbed = ground(asked.work, "undisturbed")
    ended = undisturbed.run()
    if ended.status:
        print(f"The undisturbed run ended with status {ended.status}:\n{ended.said}")
        return 1
    expected = undisturbed.figures()
    print(f"undisturbed: {ended.seconds:.0f} s", flush=True)
    found: dict[str, list[Trial]] = {}
    for name in asked.part or PARTS:
        part, most = PARTS[name]
        found[name] = []
        print(f"{name} …", flush=True)
        for trial in part(undisturbed, expected, asked.most or most, asked.seed):
            found[name].append(trial)
            if trial.wrong or trial.shown:
                print(f"  {name} {len(found[name])}: {trial}", flush=True)
        well = sum(not trial.wrong for trial in found[name])
        print(f"{name}: {well:,} of {len(found[name]):,} well", flush=True)
        _keep(asked.json, found)
    return int(any(trial.wrong for trials in found.values() for trial in trials))


def _keep(path: Path | None, found: dict[str, list[Trial]]) -> None:
    if path is None:
        return
    told = {
        name: {
            "tried": len(trials),
            "well": sum(not trial.wrong for trial in trials),
            "kinds": _kinds(trials),
            "wrong": [asdict(trial) for trial in trials if trial.wrong],
        }
        for name, trials in found.items()
    }
    path.write_text(
        json.dumps({"machine": describe(), "parts": told}, indent=1) + "\n", encoding="utf-8"
    )


def _kinds(trials: list[Trial]) -> dict[str, int]:
    """How often each kind of end was come to."""
    kinds: dict[str, int] = {}
    for trial in trials:
        kinds[trial.kind] = kinds.get(trial.kind, 0) + 1
    return dict(sorted(kinds.items()))


if __name__ == "__main__":
    sys.exit(main())
