"""Correct loops in many styles: none of them may be accused of anything.

Some are diagnosed here in turn (`tests/quick_modules.py`); all of them in
`benchmarks/diagnosis.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.diagnosed import Diagnoses
from tests.quick_modules import CORRECT
from tests.turns import dealt_out

HERE = Path(__file__).parent


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


@pytest.mark.parametrize("name", dealt_out(CORRECT))
def test_a_correct_loop_is_found_identical(name: str, diagnoses: Diagnoses) -> None:
    found = diagnoses.of(HERE / f"{name}.py")
    assert found.verdict == "identical", (
        [cause.id for cause in found.causes],
        found.unexplained,
        found.notes,
    )


@pytest.mark.parametrize(
    "name", dealt_out(("conv_batch_norm_epoch_graph", "adam_by_hand"), first=2)
)
def test_a_correct_loop_is_not_accused_where_arithmetic_does_not_repeat_itself(
    name: str, noisy: Diagnoses
) -> None:
    assert not noisy.repeats_itself()
    found = noisy.of(HERE / f"{name}.py")
    assert found.verdict == "identical", (
        [cause.id for cause in found.causes],
        found.unexplained,
        found.notes,
    )
