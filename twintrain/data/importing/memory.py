"""Whether what a file asks for fits into memory, asked before room is made for it."""

from __future__ import annotations

from pathlib import Path

from twintrain.errors import TwintrainError

_MEMINFO = Path("/proc/meminfo")


def require_memory(wanted: int, what: str) -> None:
    """See that there is room.

    Args:
        wanted: bytes.
        what: needs them, as the beginning of a sentence.

    Raises:
        TwintrainError: there is less memory than that. Where the system does not tell, nothing is
            refused.
    """
    free = _available()
    if free is not None and wanted > free:
        raise TwintrainError(
            f"{what} needs {wanted / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are available.",
            "Free some, or write it in parts: one data set per directory.",
        )


def _available() -> int | None:
    """Bytes that could be taken now; None where the system does not tell."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((int(number) * 1024 for number in kilobytes), None)
