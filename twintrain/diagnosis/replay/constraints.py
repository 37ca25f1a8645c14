"""Weights against the constraints of their variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import close_to
from twintrain.diagnosis.replay.tolerances import CONSTRAINT


def brought_inside(variable: Any, value: np.ndarray) -> np.ndarray | None:
    """What the constraint of a variable makes of a value; None where it has none, or leaves the
    value as it is.
    """
    constraint = getattr(variable, "constraint", None)
    if constraint is None:
        return None
    inside = np.array(constraint(tf.constant(value)))
    return None if close_to(inside, value, CONSTRAINT) else inside
