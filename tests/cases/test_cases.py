"""Loops as people post them: each has the mistake that `expected.yaml` says, and the diagnosis names it.

Some are diagnosed here in turn (`tests/quick_modules.py`); all of them in
`benchmarks/diagnosis.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.diagnosed import Diagnoses
from tests.quick_modules import CASES
from tests.turns import dealt_out
from twintrain.diagnosis.result import Place

HERE = Path(__file__).parent
EXPECTED = yaml.safe_load((HERE / "expected.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def diagnoses() -> Iterator[Diagnoses]:
    found = Diagnoses()
    yield found
    found.close()


@pytest.fixture(scope="module")
def noisy() -> Iterator[Diagnoses]:
    found = Diagnoses(noise=1e-6)
    yield found
    found.close()


@pytest.mark.parametrize("name", dealt_out(CASES))
def test_the_cause_and_the_side_are_named(name: str, diagnoses: Diagnoses) -> None:
    found, expected = diagnoses.of(HERE / f"{name}.py"), EXPECTED[name]
    assert [cause.id for cause in found.causes] == expected["ids"], (found.unexplained, found.notes)
    assert {cause.side for cause in found.causes} == {expected["side"]}
    assert all(cause.evidence and cause.fix for cause in found.causes)
    assert all(cause.places and is_in(cause.places[0], name) for cause in found.causes)
    assert [cause.places[0].code for cause in found.causes] == expected["lines"]
    assert found.verdict == "causes_found"


def is_in(place: Place, name: str) -> bool:
    """Whether that is a line of the module."""
    path = HERE / f"{name}.py"
    return Path(place.file).name == path.name and place.code == line_of(path, place.line)


def line_of(path: Path, number: int) -> str:
    return path.read_text(encoding="utf-8").splitlines()[number - 1].strip()


@pytest.mark.parametrize(
    "name",
    dealt_out(
        ("tf32864_dropout_off", "tf38596_mean_of_batch_means", "forum_mnist_raw_pixels_in_loop"),
        first=1,
    ),
)
def test_arithmetic_that_does_not_repeat_itself_changes_nothing(
    name: str, noisy: Diagnoses
) -> None:
    assert not noisy.repeats_itself()
    found = noisy.of(HERE / f"{name}.py")
    assert [cause.id for cause in found.causes] == EXPECTED[name]["ids"], (
        found.unexplained,
        found.notes,
    )


def test_every_module_is_expected() -> None:
    modules = {path.stem for path in HERE.glob("*.py")} - {"__init__", "test_cases"}
    assert modules == set(EXPECTED)
    assert len(modules) >= 20
    assert modules >= set(CASES)
