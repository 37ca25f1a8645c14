"""Twintrain: train one model twice, and settle whether, how much and why the two trainings differ.

`twintrain.diagnose(build_model, make_dataset, keras_fit, custom_loop)` names the reason why a loop
and `fit` differ. `twintrain.load(root)` gives a finished comparison as an object that a notebook
shows."""

from __future__ import annotations

from typing import Any

__all__ = ["diagnose", "load"]


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import: not before it is needed.
    if name == "diagnose":
        from twintrain.diagnosis.diagnose import diagnose

        return diagnose
    if name == "load":
        from twintrain.report.notebook import load

        return load
    raise AttributeError(f"module 'twintrain' has no attribute {name!r}")
