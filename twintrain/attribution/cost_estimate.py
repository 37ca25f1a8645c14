"""What an experiment will cost, before it begins, and who is told how it gets on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twintrain.attribution.design import Design
from twintrain.attribution.practices import Practice


@dataclass(frozen=True)
class CostEstimate:
    """What the experiment will cost.

    Attributes:
        design: the combinations.
        practices: what is varied.
        idle: practice -> why it is not.
        seeds: in the order in which they are trained.
        done: trainings that are already there.
        seconds: for the rest, about.
        cut: what the budget took away, for a person; empty when nothing.
    """

    design: Design
    practices: list[Practice]
    idle: dict[str, str]
    seeds: tuple[int, ...]
    done: int
    seconds: float
    cut: str

    @property
    def trainings(self) -> int:
        """All of them, done or not."""
        return len(self.design.runs) * len(self.seeds)


class Listener(Protocol):
    """Is told how the experiment gets on."""

    def estimate(self, estimate: CostEstimate) -> None:
        """Before the first training."""

    def training(self, done: int, total: int, text: str) -> None:
        """When a training starts, and about twice a second while it runs."""


class Silent:
    """A listener that says nothing."""

    def estimate(self, estimate: CostEstimate) -> None:
        """Nothing."""

    def training(self, done: int, total: int, text: str) -> None:
        """Nothing."""
