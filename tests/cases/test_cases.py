"""Loops as people post them: each has the mistake that `expected.yaml` says, and the diagnosis names it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.diagnosed import Diagnoses

HERE = Path(__file__).parent
EXPECTED = yaml.safe_load((HERE / "expected.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def diagnoses() -> Iterator[Diagnoses]:
    found = Diagnoses()
    yield found
    found.close()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_cause_and_the_side_are_named(name: str, diagnoses: Diagnoses) -> None:
    found, expected = diagnoses.of(HERE / f"{name}.py"), EXPECTED[name]
    assert [cause.id for cause in found.causes] == expected["ids"], (found.unexplained, found.notes)
    assert {cause.side for cause in found.causes} == {expected["side"]}
    assert all(cause.evidence and cause.fix for cause in found.causes)
    assert found.exit_code == 1


def test_every_module_is_expected() -> None:
    modules = {path.stem for path in HERE.glob("*.py")} - {"__init__", "test_cases"}
    assert modules == set(EXPECTED)
    assert len(modules) >= 20
