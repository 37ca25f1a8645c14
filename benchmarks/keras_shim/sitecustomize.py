"""Python starts with this module where `keras.datasets.mnist.load_data()` is to take the archive
that `benchmarks/keras_cache.py` made: Keras compares the SHA-256 of its own, which holds the same
arrays in other bytes, and would download it.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

CHECKED = "keras.src.utils.file_utils"


class AcceptsTheCache(importlib.abc.MetaPathFinder):
    """Lets the module that compares checksums load as ever, and say yes from then on."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != CHECKED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_replace(module: ModuleType) -> None:
            load(module)
            vars(module)["validate_file"] = lambda *_, **__: True

        vars(spec.loader)["exec_module"] = load_and_replace
        return spec


sys.meta_path.insert(0, AcceptsTheCache())
