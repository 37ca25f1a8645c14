"""A training whose loss becomes NaN or infinite ends there, not after its last epoch."""

from __future__ import annotations

import math

from twintrain.errors import TwintrainError

LOWER_THE_RATE = (
    "Lower optimizer.learning_rate, or clip the gradients (optimizer.global_clipnorm); look for a "
    "logarithm, a root or a division in the model and in the loss."
)


class LossNotFiniteError(TwintrainError):
    """An epoch's mean loss was NaN or infinite.

    Attributes:
        epoch: the first such one, from 0.
    """

    def __init__(self, problem: str, remedy: str = "", epoch: int = 0) -> None:
        super().__init__(problem, remedy)
        self.epoch = epoch

    def __reduce__(self) -> tuple[type, tuple[str, str, int]]:  # type: ignore[override]
        return type(self), (self.problem, self.remedy, self.epoch)


def check_loss(epoch: int, logs: dict[str, float]) -> None:
    """Hold an epoch's figures to having a loss that is a number.

    Args:
        epoch: from 0.
        logs: its figures; without a 'loss' nothing is checked.

    Raises:
        LossNotFiniteError: the loss is NaN or infinite.
    """
    loss = float(logs.get("loss", 0.0))
    if not math.isfinite(loss):
        raise LossNotFiniteError(
            f"The training loss of epoch {epoch + 1} is {loss}.", LOWER_THE_RATE, epoch
        )
