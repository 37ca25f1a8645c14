"""How good is the diagnosis? Three sets, kept apart: mistakes planted in our own loop, situations
of public reports that were written beside the diagnosis, and foreign ones, written by authors who
had not seen it. And correct loops, none of which may be accused of anything.

python benchmarks/diagnosis.py [--set planted] [--set foreign] [--pairs 30] [--only ID]
                               [--task TASK] [--json FILE]
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.diagnosis_sets import FOLDERS, OUTCOMES, ROOT, expected_of, modules, outcome
from twintrain.errors import TwintrainError

TASKS = ("cnn", "regression", "batch_norm", "text")
SETS = ("planted", "reported", "foreign", "correct")
# A task and what is planted in it, or a set and the name of its module.
Job = tuple[str, tuple[str, ...]]
Result = dict[str, Any]


def case(job: Job) -> Result:
    """Diagnose one loop, in a process of its own."""
    task, planted = job
    started = time.perf_counter()
    from benchmarks.diagnosis_tasks import functions_of
    from twintrain.diagnosis.diagnose import diagnose, diagnose_module
    from twintrain.diagnosis.watch.user_module import UserCodeError

    job_of = {"task": task, "planted": planted}
    empty = {"named": [], "sides": [], "open": [], "failures": []}
    try:
        if task in FOLDERS:
            result = diagnose_module(FOLDERS[task] / f"{planted[0]}.py")
        else:
            result = diagnose(*functions_of(task, frozenset(planted)))
    except (TwintrainError, UserCodeError) as error:
        text = getattr(error, "text", str(error))
        found = empty | {"verdict": "error", "unexplained": [text]}
    except Exception as error:
        found = empty | {"verdict": "failed", "unexplained": [repr(error)]}
    else:
        found = {
            "verdict": result.verdict,
            "named": [cause.id for cause in result.causes],
            "sides": [cause.side for cause in result.causes],
            "unexplained": result.unexplained,
            "open": [f"{look.what}: {look.said}" for look in result.coverage if look.open],
            "failures": result.failures,
        }
    return job_of | found | {"seconds": round(time.perf_counter() - started, 1)}


def judged(found: Result) -> str:
    """One of `OUTCOMES`; for pairs 'both', 'one', 'wrong name', 'unknown' or 'false identical'."""
    task, planted, named = found["task"], list(found["planted"]), found["named"]
    if len(planted) == 2 and named:
        if set(named) - set(planted):
            return "wrong name"
        return "both" if set(planted) <= set(named) else "one"
    if task in FOLDERS:
        expected, side = expected_of(FOLDERS[task] / f"{planted[0]}.py")
    else:
        # A loop that differs is mostly at fault; where fit computes as it was told, fit may be.
        expected, side = planted, found["sides"][0] if found["sides"] else None
    return outcome(found["verdict"], named, found["sides"], expected, side)


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
    """What to diagnose, set by set."""
    chosen = options.set or SETS
    found: list[Job] = []
    if "planted" in chosen:
        found += _planted(options)
    if not options.only:
        kinds = [kind for kind in SETS if kind in chosen and kind in FOLDERS]
        found += [(kind, (path.stem,)) for kind in kinds for path in modules(kind)]
    return found


def _planted(options: argparse.Namespace) -> list[Job]:
    """Clean loops, one pitfall, two."""
    from twintrain.diagnosis.catalogue import catalogue

    ids = options.only or [pitfall.id for pitfall in catalogue()]
    tasks = options.task or TASKS
    left_out = not_applicable(ids)
    found: list[Job] = [] if options.only else [(task, ()) for task in tasks]
    found += [(task, (id_,)) for task in tasks for id_ in ids if (task, id_) not in left_out]
    if len(ids) > 1:
        found += pairs(options.pairs, ids)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", action="append", choices=SETS, help="these only; all by default")
    parser.add_argument("--pairs", type=int, default=30, help="of planted mistakes")
    parser.add_argument("--only", action="append", metavar="ID", help="plant these only")
    parser.add_argument("--task", action="append", choices=TASKS, help="plant in these only")
    parser.add_argument("--at-a-time", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    options = _options()
    wanted = jobs(options)
    console = Console()
    found: list[Result] = []
    # Not ProcessPoolExecutor: on Python 3.11 it hangs when a process reaches its last task.
    with get_context("spawn").Pool(options.at_a_time, maxtasksperchild=12) as pool:
        for number, result in enumerate(pool.imap(case, wanted), start=1):
            found.append(result | {"outcome": judged(result)})
            console.print(
                f"{number}/{len(wanted)} {_line(found[-1])}", markup=False, soft_wrap=True
            )
    report(console, found, options.json)


def _line(result: Result) -> str:
    planted = " + ".join(result["planted"]) or "nothing"
    line = f"{result['task']}: {planted} -> {result['outcome']}"
    if result["outcome"] in ("right", "both"):
        return line
    told = [*result["unexplained"], *result["open"], *result["failures"]]
    return f"{line} {list(zip(result['named'], result['sides'], strict=True))} {told}"


def groups_of(found: list[Result]) -> dict[str, list[Result]]:
    """Results by what they are counted as; a foreign module without a mistake is correct code."""
    groups: dict[str, list[Result]] = {
        name: []
        for name in (
            "planted, one",
            "planted, two",
            "reported",
            "foreign, one mistake",
            "foreign, correct",
            "correct loops",
        )
    }
    for result in found:
        groups[_group(result)].append(result)
    return {name: results for name, results in groups.items() if results}


def _group(result: Result) -> str:
    task, planted = result["task"], result["planted"]
    if task == "foreign":
        expected, _ = expected_of(FOLDERS[task] / f"{planted[0]}.py")
        return "foreign, one mistake" if expected else "foreign, correct"
    if task == "reported":
        return "reported"
    if task == "correct" or not planted:
        return "correct loops"
    return "planted, one" if len(planted) == 1 else "planted, two"


def report(console: Console, found: list[Result], file: Path | None) -> None:
    """Print the counts of each set, and the matrix of what was planted; keep them in a file."""
    groups = groups_of(found)
    single = groups.get("planted, one", [])
    ids = list(dict.fromkeys(r["planted"][0] for r in single))
    left_out = not_applicable(ids)
    if single:
        console.print(_matrix(single, ids, left_out))
    for (task, id_), why in left_out.items():
        console.print(f"n/a  {id_} on {task}: {why}", style="dim")
    counts = {name: dict(Counter(r["outcome"] for r in g)) for name, g in groups.items()}
    console.print(_counts(counts))
    summary = {"counts": counts, "seconds": {name: _times(g) for name, g in groups.items()}}
    console.print(summary["seconds"])
    if file is not None:
        _write(file, summary, left_out, found)


def _times(results: list[Result]) -> dict[str, float]:
    seconds = sorted(result["seconds"] for result in results)
    return {"median": seconds[len(seconds) // 2], "longest": seconds[-1]}


def _counts(counts: dict[str, dict[str, int]]) -> Table:
    """A row per set, a column per outcome."""
    names = [name for name in ("both", "one", *OUTCOMES) if any(name in c for c in counts.values())]
    table = Table("set", "of", *names)
    for group, found in counts.items():
        cells = [str(found.get(name, "")) for name in names]
        table.add_row(group, str(sum(found.values())), *cells)
    return table


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
