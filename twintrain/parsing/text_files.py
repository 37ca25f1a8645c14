"""Text files that people write or hand over, read up to a size."""

from __future__ import annotations

from pathlib import Path

from twintrain.errors import TwintrainError

# A recipe has a few thousand bytes, the largest comparison.json seen a few million.
MOST_BYTES = 1 << 28


def read_text_file(path: Path, what: str, remedy: str, most: int = MOST_BYTES) -> str:
    """The text of a file in UTF-8.

    Args:
        path: of the file; a device that never ends is read up to `most` bytes.
        what: what it is, as the beginning of a sentence: 'The schema'.
        remedy: what to do where it cannot be read.
        most: bytes it may have.

    Raises:
        TwintrainError: it cannot be read, is larger, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        problem = f"{what} {path} cannot be read: {error.strerror or error}."
        raise TwintrainError(problem, remedy) from error
    except ValueError:  # open() refuses such names before the system sees them
        raise TwintrainError(
            f"{what} {str(path)!r} cannot be read: its name has a null byte.", remedy
        ) from None
    if len(content) > most:
        raise TwintrainError(f"{what} {path} has more than {most:,} bytes.", remedy)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TwintrainError(
            f"{what} {path} is not text in UTF-8: {error.reason} at byte {error.start}.",
            "Save it in UTF-8.",
        ) from None
