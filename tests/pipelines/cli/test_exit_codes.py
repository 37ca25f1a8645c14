from __future__ import annotations

import typing

from typer.testing import CliRunner

from pipelines.cli.exit_codes import MEANINGS, OF_VERDICT, ExitCode, exit_code_table
from pipelines.cli.main import app
from twintrain.diagnosis.result import Verdict


def test_every_code_is_explained_in_the_help() -> None:
    assert set(MEANINGS) == set(ExitCode)
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).stdout
    assert " ".join(exit_code_table().split()) in " ".join(shown.split())
    assert all(f"{code:d} {said}" in exit_code_table() for code, said in MEANINGS.items())


def test_every_verdict_of_a_diagnosis_has_a_code() -> None:
    assert set(OF_VERDICT) == set(typing.get_args(Verdict))
    assert OF_VERDICT["identical"] == ExitCode.DONE
    # What is a fault, what is to be mended and what could not be run are no verdicts.
    taken = {ExitCode.FAULT, ExitCode.MEND, ExitCode.CODE_FAILED, ExitCode.INTERRUPTED}
    assert not set(OF_VERDICT.values()) & taken
