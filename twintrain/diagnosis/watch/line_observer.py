"""Sees where losses, optimizers and metrics are made, where models are compiled, and where weights
are updated by hand: lines of the user's code that matter, though nothing else is asked of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from twintrain.diagnosis.watch.places import user_spot
from twintrain.diagnosis.watch.recording import Recording, positions_of
from twintrain.diagnosis.watch.seams import Seam, owner_of, variable_kinds

_ASSIGNING = ("assign", "assign_add", "assign_sub")
_MADE = (keras.losses.Loss, keras.optimizers.Optimizer, keras.metrics.Metric)


class LineObserver:
    """Observer of constructors, of `Model.compile` and of assignments."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def seams(self) -> list[Seam]:
        """The methods it looks at."""
        found: list[Seam] = [(owner_of(keras.Model, "compile"), "compile", self._compile)]
        found += [(owner_of(kind, "__init__"), "__init__", self._made) for kind in _MADE]
        for kind in variable_kinds():
            found += [(kind, name, self._assign) for name in _ASSIGNING]
        return found

    def _made(self, original: Callable[..., Any], made: Any, *arguments: Any, **named: Any) -> None:
        spot = user_spot()
        if spot is not None:
            # Held, so that no other object gets its identity.
            self._recording.trace.made.setdefault(id(made), (made, spot))
        original(made, *arguments, **named)

    def _compile(
        self, original: Callable[..., Any], model: Any, *arguments: Any, **named: Any
    ) -> Any:
        spot = user_spot()
        if spot is not None:
            self._recording.trace.compiles.append(spot)
        return original(model, *arguments, **named)

    def _assign(
        self, original: Callable[..., Any], variable: Any, *arguments: Any, **named: Any
    ) -> Any:
        step = self._recording.step
        # Many assignments are an optimizer's own: what is asked here must cost nothing.
        if step is not None and step.applied is None and step.target is not None:
            known = "assign" in step.places or id(variable) not in positions_of(step.model)
            step.note("assign", None if known else user_spot())
        return original(variable, *arguments, **named)
