"""Property tests of readers: an input that is nearly right is taken, or refused in a sentence."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, settings

from benchmarks.fuzz_readers import readers
from twintrain.errors import MOST_CHARACTERS, TwintrainError

READERS = readers()
# A file is written and read for each input; a few hundred take seconds.
NEARLY_RIGHT = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)


def refusal(
    name: str, random: Random, read: Callable[[Path], object] | None = None
) -> TwintrainError | None:
    """What a reader says of an input that is nearly right; None where it takes it.

    Whatever else it raises comes out, and fails the test.

    Args:
        name: of the reader in `benchmarks/fuzz_readers.py`.
        random: decides the input.
        read: in place of that reader's own.
    """
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.file
        path.write_bytes(reader.make(random))
        try:
            (read or reader.read)(path)
        except TwintrainError as error:
            refused = error
        else:
            return None
    assert len(str(refused)) <= 2 * MOST_CHARACTERS + 1
    return refused
