"""Where two twins part, as values that can be stored and shown without TensorFlow."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Difference(BaseModel):
    """How one tensor differs between the twins.

    Attributes:
        stage: 'batch', 'forward output', 'loss', 'gradient', 'update', 'optimizer state',
            'non-trainable state', 'metric', 'evaluation' or 'end of run'.
        tensor: which one.
        max_abs: largest absolute difference; None where it cannot be given: shapes differ, or one
            side has NaN.
        max_rel: largest difference relative to the larger of the two values, likewise.
        max_ulps: largest distance in units in the last place; None also where the type is not
            float32.
    """

    stage: str
    tensor: str
    max_abs: float | None
    max_rel: float | None
    max_ulps: int | None

    def exceeds(self, tolerance: float) -> bool:
        """Whether this is more than `tolerance`; what cannot be measured always is."""
        return self.max_abs is None or self.max_abs > tolerance


class Divergence(Difference):
    """The first difference: after which step (from 1) it was seen."""

    step: int

    def describe(self) -> str:
        """Where it is, in words."""
        much = "in shape or by NaN" if self.max_abs is None else f"by up to {self.max_abs:.2g}"
        return f"after step {self.step} the {self.stage} differs {much} ({self.tensor})"


class OwnLoop(BaseModel):
    """What the diagnosis says of a loop of the user's own, held against `fit` by the recipe.

    Attributes:
        verdict: as of a diagnosis.
        causes: what one of the two does otherwise, in words, each with the id of its pitfall.
        compared: what was compared, and how much of it.
        open: what was not, and may differ.
        unexplained: what differs and no cause explains.
    """

    verdict: Literal["identical", "causes_found", "unknown"]
    causes: list[str]
    compared: list[str]
    open: list[str] = []
    unexplained: list[str] = []

    def sentence(self) -> str:
        """The outcome for a person, saying no more than was seen."""
        if self.causes:
            return f"The diagnosis names: {'; '.join(self.causes)}."
        if self.verdict == "identical":
            return f"The diagnosis found no difference in what it compared ({self._seen()})."
        why = "; ".join([*self.unexplained, *self.open]) or "it saw too little"
        return f"The diagnosis names no cause: {why}."

    def _seen(self) -> str:
        return ", ".join(look.partition(":")[0] for look in self.compared)


class LockstepResult(BaseModel):
    """What lockstep found.

    Attributes:
        steps: steps compared.
        first: the first divergence beyond the tolerance; None when there is none.
        curve: largest absolute difference over all weights after each step.
        tolerance: per stage, the difference that was allowed; empty means none at all.
        causes: why the twins part, in sentences, each with the id of its pitfall.
        own_loop: what the diagnosis says where the loop is the user's own; that one is not taken
            step by step, and `steps` is 0.
    """

    steps: int
    first: Divergence | None
    curve: list[float | None]
    tolerance: dict[str, float] = {}
    causes: list[str] = []
    own_loop: OwnLoop | None = None
