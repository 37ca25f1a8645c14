"""What the exit codes of all commands mean: one table, the same in each."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """How a command ended."""

    DONE = 0
    FAULT = 1
    MEND = 2
    CODE_FAILED = 3
    LOOK = 4
    UNEXPLAINED = 5
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.DONE: "done, and nothing to be alarmed at",
    ExitCode.FAULT: "a fault of Twintrain's own, with a traceback (of a run, in its log)",
    ExitCode.MEND: "something the message tells how to mend",
    ExitCode.CODE_FAILED: "diagnose: the code could not be run",
    ExitCode.LOOK: "there is something to look at (diagnose: causes found; trend: an alert; "
    "schema: the data is another)",
    ExitCode.UNEXPLAINED: "diagnose: they differ unexplained, or not all was compared",
    ExitCode.INTERRUPTED: "interrupted",
}
# Of `twintrain diagnose`, by the verdict of a `twintrain.diagnosis.result.Diagnosis`.
OF_VERDICT = {
    "identical": ExitCode.DONE,
    "causes_found": ExitCode.LOOK,
    "unknown": ExitCode.UNEXPLAINED,
}


def exit_code_table() -> str:
    """The table for `twintrain --help`, in one paragraph."""
    return f"Exit codes: {'; '.join(f'{code:d} {said}' for code, said in MEANINGS.items())}."
