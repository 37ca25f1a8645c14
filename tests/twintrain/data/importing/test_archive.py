from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from twintrain.data.importing import memory
from twintrain.data.importing.archive import open_archive
from twintrain.errors import TwintrainError


def member(header: str, content: bytes = b"", version: int = 1) -> bytes:
    """An array as NumPy writes it, with a header of one's own."""
    text = (header + "\n").encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2, "little") + text + content


def asking(shape: str, kind: str = "|u1") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


def archive(path: Path, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("x.npy", content)
    return path


def read(path: Path) -> np.ndarray:
    with open_archive(path, "Mend it.") as opened:
        return opened.read("x")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_as_numpy_wrote_them(tmp_path: Path, save: object) -> None:
    written = np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    save(tmp_path / "a.npz", x=written, zeros=np.zeros(1_000_000))  # type: ignore[operator]
    with open_archive(tmp_path / "a.npz", "") as opened:
        assert opened.names == ("x", "zeros")
        assert np.array_equal(opened.read("x"), written)
        assert opened.read("zeros").sum() == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (member(asking("(400000000000,)"), b"abcd"), "its header asks for 400,000,000,0"),
        (member(asking("(2, 2)"), b"abc"), r"has \d+ bytes; its header asks for \d+"),
        (member(asking("(2, 2)"), b"abcde"), r"has \d+ bytes; its header asks for \d+"),
        (member(asking("(2,)", "|O"), b"abcde"), "cannot be read as an array"),
        (member("{'descr': (" * 3), "cannot be read as an array"),
        (member("'''"), "cannot be read as an array"),
        (member(asking("(1,)"), b"a", version=9), "cannot be read as an array"),
        (b"no array", "cannot be read as an array"),
        (b"", "cannot be read as an array"),
    ],
)
def test_a_header_that_its_bytes_do_not_keep_is_told(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(TwintrainError, match=said) as caught:
        read(archive(tmp_path / "a.npz", content))
    assert caught.value.remedy == "Mend it."


def test_a_member_that_claims_more_than_it_can_hold_is_not_expanded(tmp_path: Path) -> None:
    claimed = 373 * 2**30
    header = member(asking(f"({claimed},)"))
    path = archive(tmp_path / "a.npz", header + b"\0" * 64, zipfile.ZIP_DEFLATED)
    honest = (len(header) + 64).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(honest, b"\xf0\xff\xff\xff"))
    with pytest.raises(TwintrainError, match="claims 4,294,967,280 bytes, more than"):
        read(path)


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.savez(file, x=np.full(1000, 7, np.uint8))
    changed = file.getvalue().replace(b"\7\7\7\7", b"\7\7\7\6", 1)
    (tmp_path / "a.npz").write_bytes(changed)
    with pytest.raises(TwintrainError, match="cannot be read as an array"):
        read(tmp_path / "a.npz")


def test_what_does_not_fit_into_memory_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   1 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    path = archive(tmp_path / "a.npz", member(asking("(2000,)"), bytes(2000)))
    said = re.escape("needs 0.0 GB of memory; 0.0 GB are available")
    with pytest.raises(TwintrainError, match=said):
        read(path)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "nothing")
    assert len(read(path)) == 2000
