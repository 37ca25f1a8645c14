"""Diagnoses in a process of their own, so that what a user's file leaves behind does not reach the tests."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

from twintrain.diagnosis.result import Diagnosis

# A fresh process after a few files: what they leave in memory is theirs.
FILES_PER_PROCESS = 8


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
    """One process that diagnoses file after file, replaced now and then."""

    def __init__(self) -> None:
        # Not ProcessPoolExecutor: on Python 3.11 it hangs when a process reaches its last task.
        self._pool = get_context("spawn").Pool(1, maxtasksperchild=FILES_PER_PROCESS)

    def of(self, path: Path) -> Diagnosis:
        return Diagnosis.model_validate_json(self._pool.apply(diagnose_file, (path,)))

    def close(self) -> None:
        self._pool.terminate()
