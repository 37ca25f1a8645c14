from __future__ import annotations

import numpy as np
import pytest

from twintrain.parity.run_agreement import first_difference


@pytest.mark.parametrize(
    ("fit", "loop", "expected"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], None),
        ([[1, 2], [3, 4]], [[1, 2], [3, 5]], (1, 1)),
        ([[1, 2]], [[2, 1]], (0, 0)),
        ([[1, 2], [3, 4]], [[1, 2]], (1, 0)),
        ([[1, 2, 3]], [[1, 2]], (0, 2)),
    ],
)
def test_first_difference(fit: list, loop: list, expected: tuple[int, int] | None) -> None:
    assert first_difference(np.array(fit), np.array(loop)) == expected
