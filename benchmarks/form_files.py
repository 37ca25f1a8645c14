"""Writes printed forms to files, as a person's formatter leaves them, and runs them as plain
Python.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
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


def run_plainly(
    files: Iterable[Path], seconds: float = PLAIN_SECONDS
) -> Iterator[tuple[Path, str]]:
    """Run files one by one, each by itself, as `python FILE` does; a notebook cell after cell.

    Each is run in a fork of a process that has imported TensorFlow and done nothing with it.

    Yields:
        A file and the end of its traceback where it failed; nothing where it ran.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras"])
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        for file in files:
            process = context.Process(target=_run, args=(_as_python(file, Path(folder)), said))
            process.start()
            process.join(seconds)
            if process.is_alive():
                process.kill()
                process.join()
                yield file, f"not done after {seconds:.0f} s"
            elif process.exitcode:
                yield file, "\n".join(said.read_text(encoding="utf-8").strip().splitlines()[-3:])
            else:
                yield file, ""


def _as_python(file: Path, folder: Path) -> Path:
    if file.suffix != ".ipynb":
        return file
    code = folder / f"{file.parent.name}.py"
    code.write_text(plain_python(file.read_text(encoding="utf-8")), encoding="utf-8")
    return code


def _run(file: Path, said: Path) -> None:
    """Run a file as the main module, in a process of its own."""
    with said.open("w", encoding="utf-8") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        sys.argv = [str(file)]
        try:
            runpy.run_path(str(file), run_name="__main__")
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
