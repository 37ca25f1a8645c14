"""What readers of tables share."""

from __future__ import annotations

from twintrain.errors import shortened

ROWS = 16_384  # in one piece, of files that are read row by row


def one_line(error: Exception) -> str:
    """What an error says, as text that can be printed: it may cite what is no text."""
    said = "".join(sign if sign.isprintable() else " " for sign in str(error))
    return shortened(" ".join(said.split()), 300)
