from __future__ import annotations

from pathlib import Path

import pytest

from twintrain.errors import TwintrainError
from twintrain.parsing.text_files import read_text_file


def test_a_text_is_what_stands_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("é\r\n", encoding="utf-8", newline="")
    assert read_text_file(tmp_path / "a", "The file", "", 4) == "é\r\n"
    with pytest.raises(TwintrainError, match="has more than 3 bytes"):
        read_text_file(tmp_path / "a", "The file", "", 3)


def test_a_device_without_an_end_is_left_after_the_limit() -> None:
    with pytest.raises(TwintrainError, match="The file /dev/zero has more than 1,000 bytes"):
        read_text_file(Path("/dev/zero"), "The file", "", 1000)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".", "Is a directory"),
        ("nothing", "No such file"),
        ("x" * 300, "File name too long"),
        ("a\0b", "its name has a null byte"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(TwintrainError, match=said) as caught:
        read_text_file(tmp_path / name, "The file", "Name another.")
    assert caught.value.remedy == "Name another."


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab\xff")
    with pytest.raises(TwintrainError, match="not text in UTF-8: invalid start byte at byte 2"):
        read_text_file(tmp_path / "a", "The file", "")
