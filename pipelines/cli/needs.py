"""What a command needs beside the library."""

from __future__ import annotations

import importlib.util

from twintrain.errors import TwintrainError


def need_pipeline() -> None:
    """See that TFX is there.

    Raises:
        TwintrainError: it is not.
    """
    if importlib.util.find_spec("tfx") is None:
        raise TwintrainError(
            "This command needs the TFX pipeline, and TFX is not installed here.",
            "`twintrain compare` compares without it; `make install` in the repository sets it up, "
            "elsewhere `pip install twintrain[pipeline]`.",
        )
