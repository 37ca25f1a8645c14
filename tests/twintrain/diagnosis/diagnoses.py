"""Diagnoses made by hand, to be shown."""

from __future__ import annotations

from typing import Any

from twintrain.diagnosis.catalogue import by_id
from twintrain.diagnosis.result import Cause, Diagnosis, Reading, Replay

PATCH = "--- a/a.py\n+++ b/a.py\n@@ -3 +3 @@\n-y = model(x)\n+y = model(x, training=True)\n"


def cause(id_: str = "training_flag_missing", **fields: Any) -> Cause:
    """A cause with a replay and a reading, in the loop."""
    evidence = [
        Replay(quantity="largest output", observed="1", replayed="1", correct="2"),
        Reading(quantity="training flag", observed="not given", expected="True"),
    ]
    known = {"id": id_, "side": "custom_loop", "first_visible": by_id(id_).stage, "step": 1}
    return Cause(**{**known, "evidence": evidence, "fix": by_id(id_).fix, **fields})


def diagnosis(verdict: str = "causes_found", **fields: Any) -> Diagnosis:
    """A diagnosis of nothing in particular."""
    known: dict[str, Any] = {"verdict": verdict, "causes": [], "first_divergence": None}
    known |= {"max_abs_difference": 0.5, "steps": 2, "tolerance": 2e-5, "unexplained": []}
    known |= {"ruled_out": [], "notes": [], "curve": [1e-3, 0.5], "tables": []}
    return Diagnosis.model_validate(known | fields)
