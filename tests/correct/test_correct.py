"""Correct loops in many styles: none of them may be accused of anything.

Every seventh is diagnosed here, and some that ask for more of the watch; all of them in
`benchmarks/diagnosis.py`, which takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.diagnosed import Diagnoses

HERE = Path(__file__).parent
FILES = sorted(path for path in HERE.glob("*.py") if path.stem not in ("__init__", "test_correct"))
MORE = ("mirrored_strategy", "rows_a_multiple_of_the_batch", "stateful_gru_fixed_batch")
CHOSEN = sorted({*FILES[::7], *(HERE / f"{name}.py" for name in MORE)})


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


@pytest.mark.parametrize("file", CHOSEN, ids=lambda path: path.stem)
def test_a_correct_loop_is_found_identical(file: Path, diagnoses: Diagnoses) -> None:
    found = diagnoses.of(file)
    assert found.verdict == "identical", (
        [cause.id for cause in found.causes],
        found.unexplained,
        found.notes,
    )


@pytest.mark.parametrize("name", ["conv_batch_norm_epoch_graph", "adam_by_hand"])
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
