"""Diagnosis from Python, from tests and from notebooks."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from twintrain.diagnosis.budget import DEADLINE, Report
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.show import show
from twintrain.processes.scratch import scratch

WIDTH = 100


def diagnose(
    *code: Callable[..., Any] | str | Path,
    arguments: Sequence[str] = (),
    fit: int | None = None,
    loop: int | None = None,
    deadline: float = DEADLINE,
    report: Report = lambda line: None,
    **functions: Callable[..., Any],
) -> Diagnosis:
    """Name the reason why a custom loop and `fit` differ.

        twintrain.diagnose("train.py")                        # a script or notebook, as it is
        twintrain.diagnose("keras_version.py", "tf_version.py")
        twintrain.diagnose(build_model, make_dataset, keras_fit, custom_loop)

    Files are run in a process of their own, on a copy of their folder; functions in this one, whose
    global state (seeds, dtype policy, eager mode) is put back in the end.

    Args:
        code: one or two files; or four functions: `build_model()` makes a keras.Model,
            `make_dataset(split)` of 'train' or 'test' a batched tf.data.Dataset, `keras_fit(model,
            ds, epochs)` trains with compile and fit, `custom_loop(model, ds, epochs)` in a way of
            its own.
        arguments: of a script, as on its command line.
        fit: line of the fit to take, where a script has several.
        loop: line of the loop to take, likewise.
        deadline: seconds after which what has not ended by itself is stopped; then the verdict is
            'unknown' unless causes were found.
        report: hears what is being done.
        functions: the four functions by name.

    Raises:
        TwintrainError: the code is not what can be diagnosed.
        CodeFailedError: a file's code raised.
        UserCodeError: a function raised.
    """
    if functions or any(callable(part) for part in code):
        from twintrain.diagnosis.diagnose import diagnose as of_functions

        named: dict[str, Any] = {**functions, "deadline": deadline, "report": report}
        return of_functions(*code, **named)  # type: ignore[arg-type]
    from twintrain.diagnosis.worker import Task, run

    files = [Path(str(part)) for part in code]
    task = Task(
        files=files,
        arguments=list(arguments),
        fit=fit,
        loop=loop,
        deadline=deadline,
        here=Path.cwd(),
    )
    return run(task, report)


def assert_same_training(*code: Callable[..., Any] | str | Path, **named: Any) -> Diagnosis:
    """Fail unless both sides train alike, in all that was compared: for a test.

        def test_my_loop_trains_as_fit_does():
            twintrain.assert_same_training(build_model, make_dataset, keras_fit, custom_loop)

    Args:
        code: as for `diagnose`.
        named: as for `diagnose`.

    Returns:
        The diagnosis.

    Raises:
        AssertionError: its verdict is another than 'identical'; the text tells all that was found.
    """
    found = diagnose(*code, **named)
    if found.verdict != "identical":
        raise AssertionError(f"\n{in_words(found)}")
    return found


def in_words(found: Diagnosis) -> str:
    """A diagnosis as plain text."""
    console = Console(file=io.StringIO(), width=WIDTH, highlight=False, no_color=True)
    show(console, found)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def diagnose_cells(cells: Sequence[str], report: Report = lambda line: None) -> Diagnosis:
    """Diagnose cells of a notebook: the last one, with those before it as what it needs.

    Raises:
        TwintrainError: nothing in them trains.
        CodeFailedError: their code raised.
    """
    from twintrain.diagnosis.scripts.notebook import without_magics

    with scratch("cells") as folder:
        file = folder / "cells.py"
        file.write_text("\n".join(map(without_magics, cells)) + "\n", encoding="utf-8")
        return diagnose(file, report=report)
