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
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from twintrain.errors import TwintrainError

TASKS = ("cnn", "regression", "batch_norm", "text")
CORRECT = Path(__file__).resolve().parent.parent / "tests" / "correct"
# What cannot show on a task, and why.
_NO_SOFTMAX = "needs class probabilities"
_NO_DROPOUT = "the model has neither dropout nor batch normalization"
_TOKENS = "token numbers have no scale"
NOT_APPLICABLE = {
    ("regression", "training_flag_missing"): _NO_DROPOUT,
    ("regression", "dropout_rate_inverted"): _NO_DROPOUT,
    ("regression", "evaluation_training_mode"): _NO_DROPOUT,
    ("regression", "probabilities_as_logits"): _NO_SOFTMAX,
    ("regression", "label_encoding_differs"): _NO_SOFTMAX,
    ("text", "preprocessing_differs"): _TOKENS,
    **{
        (task, "target_broadcast"): "needs one output per row"
        for task in ("cnn", "batch_norm", "text")
    },
    **{(task, "mask_ignored"): "nothing is padded" for task in ("cnn", "regression", "batch_norm")},
}
# Pairs of which one makes the other invisible or meaningless.
EXCLUSIVE = [
    {"shuffle_missing", "shuffle_buffer_too_small"},
    {"weights_ignored", "weighted_mean_normalization"},
    {"probabilities_as_logits", "label_encoding_differs"},
    {"metrics_not_reset", "loss_before_update"},
    {"metric_batch_average", "loss_before_update"},
    {"gradient_accumulation", "constraints_not_applied"},
    {"precision_differs", "loss_scale_not_applied"},
    {"optimizer_differs", "constraints_not_applied"},
    {"optimizer_differs", "learning_rate_schedule"},
    {"optimizer_differs", "clip_per_variable_vs_global"},
    {"optimizer_differs", "ema_not_finalized"},
    {"training_flag_missing", "dropout_rate_inverted"},
    {"epoch_truncated", "last_batch_dropped"},
    {"metric_batch_average", "last_batch_dropped"},
    {"preprocessing_differs", "augmentation_one_sided"},
]


def case(job: tuple[str, tuple[str, ...]]) -> dict[str, Any]:
    """Diagnose one planted loop, in a process of its own."""
    task, planted = job
    started = time.perf_counter()
    from diagnosis_tasks import functions_of

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


def outcome(found: dict[str, Any]) -> str:
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


def pairs(count: int, ids: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Seeded random pairs that can stand beside each other."""
    draw, found = random.Random(2026), []
    while len(found) < count:
        task, chosen = draw.choice(TASKS), tuple(sorted(draw.sample(ids, 2), key=ids.index))
        blocked = any((task, id_) in NOT_APPLICABLE for id_ in chosen) or set(chosen) in EXCLUSIVE
        if not blocked and (task, chosen) not in found:
            found.append((task, chosen))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--only", action="append", help="these pitfalls only")
    parser.add_argument("--task", action="append", choices=TASKS)
    parser.add_argument("--no-correct", action="store_true", help="leave tests/correct out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from twintrain.diagnosis.catalogue import catalogue

    ids = options.only or [pitfall.id for pitfall in catalogue()]
    singles = [
        (t, (i,)) for t in options.task or TASKS for i in ids if (t, i) not in NOT_APPLICABLE
    ]
    clean = [] if options.only else [(t, ()) for t in options.task or TASKS]
    files = sorted(
        path.name for path in CORRECT.glob("*.py") if not path.stem.startswith(("_", "test_"))
    )
    correct = [] if options.no_correct or options.only else [("correct", (name,)) for name in files]
    jobs = [*clean, *correct, *singles, *(pairs(options.pairs, ids) if len(ids) > 1 else [])]
    console, found = Console(), []
    # Not ProcessPoolExecutor: on Python 3.11 it hangs when a process reaches its last task.
    with get_context("spawn").Pool(2, maxtasksperchild=12) as pool:
        for number, result in enumerate(pool.imap(case, jobs), start=1):
            found.append(result | {"outcome": outcome(result)})
            planted = " + ".join(result["planted"]) or "nothing"
            line = f"{number}/{len(jobs)} {result['task']}: {planted} -> {found[-1]['outcome']}"
            if found[-1]["outcome"] not in ("named", "both", "identical"):
                line += f" {result['named']} {result['unexplained']}"
            console.print(line, markup=False, soft_wrap=True)
    report(console, found, options.json)


def report(console: Console, found: list[dict[str, Any]], file: Path | None) -> None:
    """Print the matrix and the counts; keep them in a file."""
    from machine import describe

    single = [r for r in found if len(r["planted"]) == 1 and r["task"] != "correct"]
    table = Table("pitfall", *TASKS)
    for id_ in dict.fromkeys(r["planted"][0] for r in single):
        cells = {r["task"]: r["outcome"] for r in single if r["planted"][0] == id_}
        table.add_row(
            id_,
            *(cells.get(task, "n/a" if (task, id_) in NOT_APPLICABLE else "") for task in TASKS),
        )
    console.print(table)
    for (task, id_), why in NOT_APPLICABLE.items():
        console.print(f"n/a  {id_} on {task}: {why}", style="dim")
    groups = {
        "single": single,
        "pairs": [r for r in found if len(r["planted"]) == 2],
        "correct loops": [r for r in found if not r["planted"] or r["task"] == "correct"],
    }
    counts = {
        name: {
            o: sum(r["outcome"] == o for r in group)
            for o in dict.fromkeys(r["outcome"] for r in group)
        }
        for name, group in groups.items()
    }
    seconds = sorted(r["seconds"] for r in found)
    summary = {
        "counts": counts,
        "median_seconds": seconds[len(seconds) // 2],
        "longest_seconds": seconds[-1],
    }
    console.print(summary)
    if file is not None:
        why = {f"{id_} on {task}": reason for (task, id_), reason in NOT_APPLICABLE.items()}
        file.write_text(
            json.dumps(
                summary | {"machine": describe(), "not_applicable": why, "cases": found}, indent=1
            )
            + "\n"
        )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
