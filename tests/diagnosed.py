"""Many diagnoses at once: two processes work through the files while the tests wait for theirs."""

from __future__ import annotations

from collections.abc import Iterable
from multiprocessing import get_context
from multiprocessing.pool import AsyncResult
from pathlib import Path

from twintrain.diagnosis.result import Diagnosis

# A fresh process after a few files: what they leave in memory is theirs.
FILES_PER_PROCESS = 15


def diagnose_file(path: Path) -> str:
    """A diagnosis as JSON, or the user's traceback in an exception."""
    import warnings

    warnings.simplefilter("ignore")
    from twintrain.diagnosis.diagnose import diagnose_module
    from twintrain.diagnosis.subject import UserCodeError

    try:
        return diagnose_module(path, deadline=300).model_dump_json()
    except UserCodeError as error:
        raise RuntimeError(error.text) from None


class Diagnoses:
    """Starts on all files at once; `of` waits for one."""

    def __init__(self, files: Iterable[Path]) -> None:
        # Not ProcessPoolExecutor: on Python 3.11 it hangs when a process reaches its last task.
        self._pool = get_context("spawn").Pool(2, maxtasksperchild=FILES_PER_PROCESS)
        self._found: dict[Path, AsyncResult[str]] = {
            path: self._pool.apply_async(diagnose_file, (path,)) for path in files
        }

    def of(self, path: Path) -> Diagnosis:
        return Diagnosis.model_validate_json(self._found[path].get())

    def close(self) -> None:
        self._pool.terminate()
