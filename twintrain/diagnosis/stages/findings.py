"""What the stages find: causes with their evidence, and what remains unexplained."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from twintrain.diagnosis.catalogue import Stage, by_id
from twintrain.diagnosis.result import Cause, Evidence


@dataclass
class Findings:
    """What was found so far.

    Attributes:
        causes: named, each id once.
        unexplained: what differs and no planted mistake reproduced.
        ruled_out: ids that were looked for, found or not.
        notes: what else is worth knowing.
    """

    causes: list[Cause] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    ruled_out: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def name_cause(
        self,
        id_: str,
        side: str,
        step: int | None,
        *evidence: Evidence,
        stage: Stage | None = None,
    ) -> None:
        """Add a cause, once per id: the first time counts.

        Args:
            id_: of the catalogue.
            side: that has it.
            step: where it shows first, from 0; None where it shows before or after all steps.
            evidence: that shows it.
            stage: where it shows first, unless that is the catalogue's stage.

        Raises:
            TwintrainError: the catalogue has no such id.
        """
        pitfall = by_id(id_)
        if self.has(id_):
            return
        self.causes.append(
            Cause(
                id=id_,
                side=side,
                first_visible=stage or pitfall.stage,
                step=step,
                evidence=list(evidence),
                fix=pitfall.fix,
            )
        )

    def has(self, *ids: str) -> bool:
        """Whether one of these was found."""
        return any(cause.id in ids for cause in self.causes)


def shown(quantity: str, observed: object, replayed: object, correct: object) -> Evidence:
    """Evidence with figures rounded for reading."""
    return Evidence(
        quantity=quantity, observed=say(observed), replayed=say(replayed), correct=say(correct)
    )


def seen(quantity: str, observed: object, correct: object) -> Evidence:
    """Evidence whose replay is what was observed: a setting, a count, a reproduced value."""
    return shown(quantity, observed, observed, correct)


def say(value: object) -> str:
    """A figure as a person reads it."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    return str(value)
