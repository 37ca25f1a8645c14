"""What a look at a table finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from twintrain.data.table_survey import survey
from twintrain.errors import TwintrainError


def table(folder: Path, name: str, columns: dict[str, list[object]]) -> Path:
    path = folder / name
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_columns_are_seen_for_what_they_are(tmp_path: Path) -> None:
    rows = range(40)
    path = table(
        tmp_path,
        "t.csv",
        {
            "row": [f"r{n}" for n in rows],
            "when": [f"2024-01-{n % 28 + 1:02d}" for n in rows],
            "always": ["x"] * 40,
            "never": [""] * 40,
            "size": [n % 7 for n in rows],
            "price": [n / 3 if n % 4 else "" for n in rows],
            "said": [f"many words are here {n % 5}" for n in rows],
            "kind": ["ab"[n % 2] for n in rows],
            "leak": ["no" if n % 2 else "yes" for n in rows],
        },
    )
    found = survey([path])
    seems = {name: column.seems for name, column in found.columns.items() if column.seems}
    assert seems == {
        "row": "identifier",
        "when": "date",
        "always": "constant",
        "never": "empty",
    }
    assert found.columns["said"].is_text
    assert found.columns["price"].missing == pytest.approx(0.25)
    assert found.columns["size"].values == tuple(range(7))
    assert found.twins_of("kind") == ["leak"]
    assert found.rows == 40


def test_types_are_those_of_all_files(tmp_path: Path) -> None:
    one = table(tmp_path, "a.csv", {"n": [1, 2], "s": [1, 2]})
    other = table(tmp_path, "b.csv", {"n": [1.5, 2], "s": ["x", "y"]})
    found = survey([one, other])
    assert {name: column.kind for name, column in found.columns.items()} == {
        "n": "FLOAT",
        "s": "BYTES",
    }


def test_files_of_other_columns_are_no_table_together(tmp_path: Path) -> None:
    one, other = table(tmp_path, "a.csv", {"n": [1]}), table(tmp_path, "b.csv", {"m": [1]})
    with pytest.raises(TwintrainError, match="different columns: m, n"):
        survey([one, other])


def test_a_table_without_rows_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n")
    with pytest.raises(TwintrainError, match="has no rows"):
        survey([path])
