"""What the stages find: causes with their evidence, and what remains unexplained."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from twintrain.diagnosis.catalogue import Stage, by_id
from twintrain.diagnosis.result import Cause, Evidence, Look, Reading, Replay


@dataclass
class Findings:
    """What was found so far.

    Attributes:
        causes: named, each id once.
        unexplained: what differs and no planted mistake reproduced; forgotten where the weights of
            both sides are equal to the end.
        differing: what differs though the weights may be equal (a logged figure, say) and nothing
            explains; never forgotten.
        apart: where the weights of the two sides part when they are run as they are, in words; to
            be explained by a cause.
        looks: what was compared, and what was not.
        ruled_out: ids that were looked for, found or not.
        notes: what else is worth knowing.
        adds_up: the side that takes several batches for an update, and rightly; "" where none does.
        failures: what could not be read because reading it failed; each keeps the verdict from
            being 'identical'.
    """

    causes: list[Cause] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    apart: str = ""
    looks: list[Look] = field(default_factory=list)
    ruled_out: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    adds_up: str = ""
    failures: list[str] = field(default_factory=list)

    def name_cause(
        self,
        id_: str,
        side: str,
        step: int | None,
        *evidence: Evidence,
        stage: Stage | None = None,
        fix: str | None = None,
    ) -> None:
        """Add a cause, once per id: the first time counts.

        Args:
            id_: of the catalogue.
            side: that has it.
            step: where it shows first, from 0; None where it shows before or after all steps.
            evidence: that shows it.
            stage: where it shows first, unless that is the catalogue's stage.
            fix: what to do in the user's own figures, unless the catalogue's words do.

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
                fix=fix or pitfall.fix,
            )
        )

    def compared(self, what: str, said: str) -> None:
        """Note that something was compared, and how much of it."""
        self._add(Look(what=what, compared=True, said=said))

    def not_compared(self, what: str, why: str, *, open_: bool) -> None:
        """Note that something was not compared; `open_` where the sides may differ in it."""
        self._add(Look(what=what, compared=False, said=why, open=open_))

    def _add(self, look: Look) -> None:
        """Add a look, once; what could not be compared at first, and was then, was compared. What
        was left open stays so.
        """
        self.looks = [
            other
            for other in self.looks
            if other != look
            and (other.compared or other.open or not look.compared or other.what != look.what)
        ]
        self.looks.append(look)

    def has(self, *ids: str) -> bool:
        """Whether one of these was found."""
        return any(cause.id in ids for cause in self.causes)


def by_replay(quantity: str, observed: object, replayed: object, correct: object) -> Replay:
    """Evidence of a computation that was done again, with the mistake and without; figures are
    rounded for reading.
    """
    return Replay(
        quantity=quantity, observed=say(observed), replayed=say(replayed), correct=say(correct)
    )


def by_reading(quantity: str, observed: object, expected: object) -> Reading:
    """Evidence of what was read off: a setting, a count, rows; nothing was computed again."""
    return Reading(quantity=quantity, observed=say(observed), expected=say(expected))


def say(value: object) -> str:
    """A figure as a person reads it."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    return str(value)
