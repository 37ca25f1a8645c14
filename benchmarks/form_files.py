"""Writes printed forms to files, as a person's formatter leaves them, and runs them as plain
Python.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.form_printer import CannotPrintError, Printed, plain_python, print_form
from benchmarks.form_source import Module

LINE_LENGTH = 100
PLAIN_SECONDS = 120


def write(folder: Path, printed: Printed) -> list[Path]:
    """Write the files of one module in one form."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in printed.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in printed.files]


def write_all(
    folder: Path, forms: Iterable[str], modules: Iterable[Module]
) -> tuple[dict[tuple[str, str], list[Path]], dict[tuple[str, str], str]]:
    """Write modules in forms, each to `folder/form/name`.

    Returns:
        The files per form and module, and why a module is not in a form.
    """
    files, missing = {}, {}
    known = list(modules)
    for form in forms:
        for module in known:
            try:
                printed = print_form(form, module)
            except CannotPrintError as why:
                missing[form, module.name] = str(why)
            else:
                files[form, module.name] = write(folder / form / module.name, printed)
    tidy([file for group in files.values() for file in group])
    return files, missing


def tidy(files: list[Path]) -> None:
    """Format files; without a formatter they stay as they are."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--quiet"]
    command += ["--line-length", str(LINE_LENGTH)]
    for start in range(0, len(files), 200):
        subprocess.run([*command, *files[start : start + 200]], check=False, capture_output=True)


def run_plainly(file: Path, seconds: float = PLAIN_SECONDS) -> str:
    """Run a file by itself, a notebook cell after cell in one.

    Returns:
        The last lines it said where it failed; nothing where it ran.
    """
    text = file.read_text(encoding="utf-8")
    command = [sys.executable, file]
    if file.suffix == ".ipynb":
        # `python -c` has no source, which tf.function needs for its loops.
        file = file.with_suffix(".plain.py")
        file.write_text(plain_python(text), encoding="utf-8")
        command = [sys.executable, file]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, cwd=file.parent, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:.0f} s"
    return "" if done.returncode == 0 else "\n".join(done.stderr.strip().splitlines()[-3:])
