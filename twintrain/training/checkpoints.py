"""Early stopping and best weights for the loop twin, by Keras's rules.

`keras.callbacks.EarlyStopping` is the reference; a property test holds this class to it. The loop
has its own because a person who writes a loop has none, and because that is where hand-written
loops go wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import keras
import numpy as np

from twintrain.errors import TwintrainError
from twintrain.recipe.sections import EarlyStoppingRules


@dataclass(frozen=True)
class StopperState:
    """Where early stopping stands: epochs without improvement, best figure, its epoch and its
    weights.
    """

    wait: int = 0
    best: float | None = None
    best_epoch: int = 0
    weights: list[np.ndarray] | None = None


@dataclass
class BestWeights:
    """Follows the monitored figure over epochs.

    Attributes:
        rule: when to stop and what to keep.
        best_epoch: counted from 0; the epoch whose weights count as best.
    """

    rule: EarlyStoppingRules
    best_epoch: int = 0
    _best: float | None = None
    _wait: int = 0
    _weights: list[np.ndarray] | None = field(default=None, repr=False)

    def update(self, epoch: int, logs: dict[str, float], model: keras.Model) -> bool:
        """Take in one finished epoch; True when training should stop."""
        if not self.rule.enabled:
            self.best_epoch = epoch
            return False
        if self.rule.monitor not in logs:
            raise TwintrainError(
                f"early_stopping.monitor: the training has no figure {self.rule.monitor!r}, only "
                f"{', '.join(sorted(logs))}.",
                "Watch one of these, or let your step return (loss, predictions).",
            )
        current = logs[self.rule.monitor]
        if self.rule.restore_best and self._weights is None:
            self._weights, self.best_epoch = model.get_weights(), epoch
        self._wait += 1
        if self._improves(current):
            self._best, self.best_epoch, self._wait = current, epoch, 0
            if self.rule.restore_best:
                self._weights = model.get_weights()
            return False
        return self._wait >= self.rule.patience and epoch > 0

    def restore(self, model: keras.Model) -> None:
        """Put the best weights back, where the rule asks for it."""
        if self._weights is not None:
            model.set_weights(self._weights)

    def _improves(self, current: float) -> bool:
        if self._best is None:
            return True
        # Keras compares in float32; in float64 an improvement below its resolution would count here
        # and not there.
        if self.rule.higher_is_better:
            return bool(np.float32(current - self.rule.min_delta) > np.float32(self._best))
        return bool(np.float32(current + self.rule.min_delta) < np.float32(self._best))

    def state(self) -> StopperState:
        """What a resumed training needs to go on as if it had not stopped."""
        return StopperState(self._wait, self._best, self.best_epoch, self._weights)

    def load(self, state: StopperState) -> None:
        """Go on from `state`."""
        self._wait, self._best, self.best_epoch, self._weights = (
            state.wait,
            state.best,
            state.best_epoch,
            state.weights,
        )
