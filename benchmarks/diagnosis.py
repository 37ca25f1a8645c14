"""Plants every pitfall of the catalogue, one at a time and in pairs, and counts what the diagnosis
names.

Correct loops (tests/correct) are diagnosed as well: none of them may be accused of anything.

python benchmarks/diagnosis.py [--pairs 30] [--only ID] [--task TASK] [--no-correct] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from twintrain.errors import TwintrainError

TASKS = ("cnn", "regression", "batch_norm", "text")
ROOT = Path(__file__).resolve().parent.parent
CORRECT = ROOT / "tests" / "correct"
Job = tuple[str, tuple[str, ...]]
Result = dict[str, Any]


def case(job: Job) -> Result:
    """Diagnose one planted loop, in a process of its own."""
    task, planted = job
    started = time.perf_counter()
    from benchmarks.diagnosis_tasks import functions_of
    from twintrain.diagnosis.diagnose import diagnose, diagnose_module
    from twintrain.diagnosis.watch.user_module import UserCodeError

    job_of = {"task": task, "planted": planted}
    try:
        if task == "correct":
            result = diagnose_module(CORRECT / planted[0], deadline=300)
        else:
            result = diagnose(*functions_of(task, frozenset(planted)), deadline=300)
    except (TwintrainError, UserCodeError) as error:
        text = getattr(error, "text", str(error))
        return job_of | {
            "verdict": "error",
            "named": [],
            "sides": [],
            "unexplained": [text],
            "seconds": 0.0,
        }
    return job_of | {
        "verdict": result.verdict,
        "named": [cause.id for cause in result.causes],
        "sides": [cause.side for cause in result.causes],
        "unexplained": result.unexplained,
        "seconds": round(time.perf_counter() - started, 1),
    }


def outcome(found: Result) -> str:
    """'named', 'wrong' or 'unknown' for a loop with one mistake; for pairs 'both', 'one', 'wrong'
    or 'unknown'.
    """
    planted, named = list(found["planted"]), found["named"]
    if not planted or found["task"] == "correct":
        return "identical" if found["verdict"] == "identical" else "false alarm"
    if len(planted) == 2:
        if set(planted) <= set(named):
            return "both"
        return "wrong" if set(named) - set(planted) else "one" if named else "unknown"
    if not named:
        return "unknown"
    return "named" if named[0] == planted[0] else "wrong"


def pairs(count: int, ids: list[str]) -> list[Job]:
    """Seeded random pairs that can stand beside each other."""
    from benchmarks.diagnosis_tasks import why_not
    from benchmarks.planting import can_stand_together

    draw = random.Random(2026)
    found: list[Job] = []
    while len(found) < count:
        task = draw.choice(TASKS)
        chosen = tuple(sorted(draw.sample(ids, 2), key=ids.index))
        shows = all(why_not(task, id_) is None for id_ in chosen) and can_stand_together(chosen)
        if shows and (task, chosen) not in found:
            found.append((task, chosen))
    return found


def not_applicable(ids: list[str]) -> dict[tuple[str, str], str]:
    """Per task and pitfall that cannot show on it, why."""
    from benchmarks.diagnosis_tasks import why_not

    found = {}
    for id_ in ids:
        for task in TASKS:
            why = why_not(task, id_)
            if why is not None:
                found[task, id_] = why
    return found


def jobs(options: argparse.Namespace) -> list[Job]:
    """What to diagnose: clean loops, correct ones, one pitfall, two."""
    from twintrain.diagnosis.catalogue import catalogue

    ids = options.only or [pitfall.id for pitfall in catalogue()]
    tasks = options.task or TASKS
    left_out = not_applicable(ids)
    found: list[Job] = []
    if not options.only:
        found += [(task, ()) for task in tasks]
    if not options.only and not options.no_correct:
        found += [("correct", (name,)) for name in _correct_files()]
    found += [(task, (id_,)) for task in tasks for id_ in ids if (task, id_) not in left_out]
    if len(ids) > 1:
        found += pairs(options.pairs, ids)
    return found


def _correct_files() -> list[str]:
    files = [path for path in CORRECT.glob("*.py") if not path.stem.startswith(("_", "test_"))]
    return sorted(path.name for path in files)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--only", action="append", help="these pitfalls only")
    parser.add_argument("--task", action="append", choices=TASKS)
    parser.add_argument("--no-correct", action="store_true", help="leave tests/correct out")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    options = _options()
    wanted = jobs(options)
    console = Console()
    found: list[Result] = []
    # Not ProcessPoolExecutor: on Python 3.11 it hangs when a process reaches its last task.
    with get_context("spawn").Pool(2, maxtasksperchild=12) as pool:
        for number, result in enumerate(pool.imap(case, wanted), start=1):
            found.append(result | {"outcome": outcome(result)})
            console.print(
                f"{number}/{len(wanted)} {_line(found[-1])}", markup=False, soft_wrap=True
            )
    report(console, found, options.json)


def _line(result: Result) -> str:
    planted = " + ".join(result["planted"]) or "nothing"
    line = f"{result['task']}: {planted} -> {result['outcome']}"
    if result["outcome"] in ("named", "both", "identical"):
        return line
    return f"{line} {result['named']} {result['unexplained']}"


def report(console: Console, found: list[Result], file: Path | None) -> None:
    """Print the matrix and the counts; keep them in a file."""
    single = [r for r in found if len(r["planted"]) == 1 and r["task"] != "correct"]
    groups = {
        "single": single,
        "pairs": [r for r in found if len(r["planted"]) == 2],
        "correct loops": [r for r in found if not r["planted"] or r["task"] == "correct"],
    }
    ids = list(dict.fromkeys(r["planted"][0] for r in single))
    left_out = not_applicable(ids)
    console.print(_matrix(single, ids, left_out))
    for (task, id_), why in left_out.items():
        console.print(f"n/a  {id_} on {task}: {why}", style="dim")
    seconds = sorted(r["seconds"] for r in found)
    summary = {
        "counts": {name: dict(Counter(r["outcome"] for r in g)) for name, g in groups.items()},
        "median_seconds": seconds[len(seconds) // 2],
        "longest_seconds": seconds[-1],
    }
    console.print(summary)
    if file is not None:
        _write(file, summary, left_out, found)


def _matrix(single: list[Result], ids: list[str], left_out: dict[tuple[str, str], str]) -> Table:
    """A row per pitfall, a column per task."""
    outcomes = {(r["task"], r["planted"][0]): r["outcome"] for r in single}
    table = Table("pitfall", *TASKS)
    for id_ in ids:
        cells = []
        for task in TASKS:
            missing = "n/a" if (task, id_) in left_out else ""
            cells.append(outcomes.get((task, id_), missing))
        table.add_row(id_, *cells)
    return table


def _write(
    file: Path, summary: Result, left_out: dict[tuple[str, str], str], found: list[Result]
) -> None:
    from benchmarks.machine import describe

    why = {f"{id_} on {task}": reason for (task, id_), reason in left_out.items()}
    kept = summary | {"machine": describe(), "not_applicable": why, "cases": found}
    file.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
