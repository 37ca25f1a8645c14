"""Is the verdict the same in every form in which people write such code? Prints each module of
tests/cases and tests/correct as a script, two scripts, a notebook, a class, a program with options,
a `train_step`, and with one side left out; diagnoses each; counts per form.

python benchmarks/forms.py [--form script ...] [--only NAME ...] [--sample N --seed S]
                           [--write FOLDER] [--print-only] [--plain] [--json FILE [--go-on]]

All of it takes hours. It comes in an order drawn at random, so that what is done is a fair sample
of the whole at any time; FILE is written as it grows, and `--go-on` keeps what stands there.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.diagnosis_sets import ROOT, modules
from benchmarks.form_expectations import OUTCOMES, Answer, answer_of, expectation, outcome
from benchmarks.form_files import run_plainly, write_all
from benchmarks.form_printer import FORMS
from benchmarks.form_source import Module, read_module
from twintrain.processes.replacing import replacing

SETS = ("reported", "correct")
COMMAND = [sys.executable, "-m", "pipelines.cli", "diagnose"]
SECONDS = 900
# Form and module.
Job = tuple[str, str]
Files = dict[Job, list[Path]]
Result = dict[str, Any]


def sets_of(only: list[str] | None) -> dict[str, str]:
    """Names of modules, all or these, and the set of each."""
    found = {path.stem: kind for kind in SETS for path in modules(kind)}
    unknown = sorted(set(only or ()) - set(found))
    if unknown:
        sys.exit(f"There is no module {', '.join(unknown)} in tests/cases and tests/correct.")
    return {name: kind for name, kind in found.items() if not only or name in only}


def read_modules(sets: dict[str, str]) -> list[Module]:
    """The modules, taken apart."""
    paths = {path.stem: path for kind in SETS for path in modules(kind)}
    return [read_module(paths[name]) for name in sets]


def sampled(jobs: list[Job], count: int | None, seed: int) -> list[Job]:
    """So many of the jobs, drawn with a seed; all by default, in an order that is drawn."""
    return random.Random(seed).sample(jobs, len(jobs) if count is None else min(count, len(jobs)))


@functools.cache
def code_digest() -> str:
    """Of the library that diagnoses, so that results of two states can be told apart."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "twintrain").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def kept_results(file: Path | None) -> list[Result]:
    """What stands in a file of results; nothing where there is none."""
    if file is None or not file.exists():
        return []
    return list(json.loads(file.read_text(encoding="utf-8"))["cases"])


def ask(files: list[Path]) -> Answer:
    """What the command says of files, in a process of its own."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    try:
        done = subprocess.run(
            [*COMMAND, *map(str, files), "--json"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=os.environ | {"PYTHONPATH": path},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(-1, "nothing", told=(f"not done after {SECONDS} s",))
    try:
        return answer_of(done.returncode, json.loads(done.stdout))
    except (json.JSONDecodeError, KeyError, TypeError):
        last = done.stderr.strip().splitlines()[-3:]
        return Answer(done.returncode, "nothing", told=tuple(last))


def case(job: Job, files: list[Path], kind: str) -> Result:
    """Diagnose one module in one form."""
    started = time.perf_counter()
    form, module = job
    expected, answer = expectation(form, kind, module), ask(files)
    return {
        "form": form,
        "module": module,
        "set": kind,
        "outcome": outcome(form, expected, answer),
        "expected": list(expected.ids),
        "silence": expected.silence,
        "code": answer.code,
        "verdict": answer.verdict,
        "named": list(answer.named),
        "sides": list(answer.sides),
        "told": list(answer.told),
        "seconds": round(time.perf_counter() - started, 1),
        "code_digest": code_digest(),
    }


def diagnosed(files: Files, sets: dict[str, str], at_a_time: int) -> Iterator[Result]:
    """Each module in each form, as they are done."""
    with ThreadPool(at_a_time) as pool:
        jobs = [(job, group, sets[job[1]]) for job, group in files.items()]
        yield from pool.imap(lambda one: case(*one), jobs)


def line_of(result: Result) -> str:
    """A result in a line."""
    line = f"{result['form']} {result['module']} -> {result['outcome']}"
    if result["outcome"] == "right":
        return line
    named = list(zip(result["named"], result["sides"], strict=True))
    return f"{line} {named} expected {result['expected']} {result['told']}"


def table_of(found: list[Result]) -> Table:
    """A row per form, wrong and correct modules apart; a column per outcome."""
    table = Table("form", "of", *OUTCOMES)
    for form in dict.fromkeys(result["form"] for result in found):
        for kind in SETS:
            group = [r for r in found if (r["form"], r["set"]) == (form, kind)]
            counts = Counter(result["outcome"] for result in group)
            cells = [str(counts[name] or "") for name in OUTCOMES]
            if group:
                table.add_row(f"{form}, {kind}", str(len(group)), *cells)
    return table


def report(console: Console, found: list[Result], missing: dict[Job, str]) -> None:
    """Print what was not right and the counts."""
    for (form, module), why in missing.items():
        console.print(f"n/a  {module} as {form}: {why}", style="dim", soft_wrap=True)
    for result in found:
        if result["outcome"] not in ("right", "refused"):
            console.print(line_of(result), markup=False, soft_wrap=True)
    console.print(table_of(found))
    silent = sum(bool(r["silence"]) for r in found if r["outcome"] == "right")
    console.print(f"{silent} of the right ones need not name anything in their form.")
    states = Counter(result["code_digest"] for result in found)
    if len(states) > 1:
        console.print(f"Diagnosed by several states of the library: {dict(states)}.")


def keep(found: list[Result], missing: dict[Job, str], file: Path) -> None:
    """Write results and their counts to a file."""
    from benchmarks.machine import describe

    forms = dict.fromkeys(result["form"] for result in found)
    counts = {
        form: dict(Counter(r["outcome"] for r in found if r["form"] == form)) for form in forms
    }
    why = {f"{module} as {form}": reason for (form, module), reason in missing.items()}
    kept = {"counts": counts, "machine": describe(), "not_printable": why, "cases": found}
    with replacing(file) as fresh:
        fresh.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--form", nargs="+", choices=FORMS, help="these only; all by default")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these modules only")
    parser.add_argument("--sample", type=int, metavar="N", help="so many, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="keep the printed files here")
    parser.add_argument("--print-only", action="store_true", help="diagnose nothing")
    parser.add_argument("--plain", action="store_true", help="run the files as plain Python only")
    parser.add_argument("--at-a-time", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what was found here")
    parser.add_argument("--go-on", action="store_true", help="keep what FILE has, do the rest")
    return parser.parse_args()


def main() -> None:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 140)
    if options.go_on and options.json is None:
        sys.exit("--go-on needs --json FILE, which has what was found so far.")
    sets = sets_of(options.only)
    with contextlib.ExitStack() as stack:
        folder = options.write
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files, missing = write_all(folder, options.form or FORMS, read_modules(sets))
        chosen = sampled(list(files), options.sample, options.seed)
        files = {job: files[job] for job in chosen}
        if options.plain:
            _run_all(console, [file for group in files.values() for file in group])
        elif not options.print_only:
            found = _diagnose_all(console, options, files, sets, missing)
            report(console, found, missing)


def _diagnose_all(
    console: Console,
    options: argparse.Namespace,
    files: Files,
    sets: dict[str, str],
    missing: dict[Job, str],
) -> list[Result]:
    """Diagnose what is not in the file of results yet, and keep each result there as it comes."""
    found = kept_results(options.json) if options.go_on else []
    done = {(result["form"], result["module"]) for result in found}
    left = {job: group for job, group in files.items() if job not in done}
    for number, result in enumerate(diagnosed(left, sets, options.at_a_time), start=1):
        found.append(result)
        line = f"{number}/{len(left)} {line_of(result)}"
        console.print(line, markup=False, soft_wrap=True)
        if options.json is not None:
            keep(found, missing, options.json)
    return found


def _run_all(console: Console, files: list[Path]) -> None:
    """Run files as plain Python and tell which fail."""
    failed = 0
    for file, why in run_plainly(files):
        if why:
            failed += 1
            console.print(f"{file}: {why}", markup=False, soft_wrap=True)
    console.print(f"{len(files)} files, {failed} failed")


if __name__ == "__main__":
    main()
