"""A side that is not in the script, made from what was seen of the other one."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.watch.frozen_rows import Rows

FILE = "made_by_twintrain.py"


@dataclass(frozen=True)
class MadeSide:
    """A counterpart that was made.

    Attributes:
        side: 'keras_fit' or 'custom_loop'.
        title: says what it is.
        code: Python; it uses `model`, `x_train`, `y_train` and the like, and `EPOCHS`.
        values: makes anew what it uses that no code was found for, by name.
        left_out: what the side it is made from does and it does not, in words.
    """

    side: str
    title: str
    code: str
    values: dict[str, Callable[[], Any]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def shown(self, epochs: int | None) -> str:
        """The code as it is shown, complete."""
        return f"import keras\nimport tensorflow as tf\n\nEPOCHS = {epochs or 1}\n\n{self.code}"

    def train(
        self, model: keras.Model, rows: Rows, test: Rows | None, epochs: int, folder: Path
    ) -> Any:
        """Train a model by it; the log it leaves."""
        scope = {"keras": keras, "tf": tf, "np": np, "model": model, "EPOCHS": epochs}
        scope |= {name: make() for name, make in self.values.items()}
        names = (("x_train", "y_train", "weights"), ("x_test", "y_test", "test_weights"))
        for data, known in zip((rows, test), names, strict=True):
            if data is not None:
                scope |= {name: data.part(number) for number, name in enumerate(known)}
        file = folder / FILE
        if not file.exists() or file.read_text(encoding="utf-8") != self.code:
            file.write_text(self.code, encoding="utf-8")  # AutoGraph reads it
            linecache.checkcache(str(file))
        exec(compile(self.code, str(file), "exec"), scope)  # noqa: S102 - made here
        return scope.get("history")
