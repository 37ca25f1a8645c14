"""How often people see a doctor: the RAND health insurance experiment, as statsmodels has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd


def in_one_table(archive: Path | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """20,190 person-years in one file.

    Args:
        archive: not needed.

    Yields:
        name of the file, and its rows.
    """
    from statsmodels.datasets import randhie

    yield "visits.csv", randhie.load_pandas().data
