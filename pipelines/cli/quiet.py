"""Keeps TFX's, TensorFlow's and KFP's chatter out of a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator

import typer


@contextlib.contextmanager
def quiet() -> Iterator[Callable[[str], None]]:
    """Inside, nothing but what is told reaches the terminal; TensorFlow's C++ writes to the
    descriptor itself.

    Yields:
        prints a line on the terminal's standard output.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    before, kept, output = logging.root.manager.disable, os.dup(2), sys.stdout
    logging.disable(logging.WARNING)
    with tempfile.TemporaryFile() as swallowed, open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(swallowed.fileno(), 2)
        try:
            with contextlib.redirect_stdout(nowhere):
                yield lambda line: typer.echo(line, file=output)
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            logging.disable(before)
