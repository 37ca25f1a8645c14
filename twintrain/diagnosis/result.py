"""What a diagnosis says, as values that can be stored and shown without TensorFlow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from twintrain.diagnosis.catalogue import Stage
from twintrain.parity.divergence import Difference, Divergence
from twintrain.showing import html_of

Verdict = Literal["identical", "causes_found", "unknown"]


class Replay(BaseModel):
    """A quantity that was computed again from what the side had before it.

    Attributes:
        quantity: what was looked at.
        observed: in the user's code, on the side that has the mistake.
        replayed: by a correct loop with this one mistake planted, on the same inputs.
        correct: by the correct loop.
    """

    kind: Literal["replay"] = "replay"
    quantity: str
    observed: str
    replayed: str
    correct: str


class Reading(BaseModel):
    """A quantity that was read off (a setting, a count, rows); nothing was computed again.

    Attributes:
        quantity: what was looked at.
        observed: in the user's code, on the side that has the mistake.
        expected: on the other side, or by the data as given.
    """

    kind: Literal["reading"] = "reading"
    quantity: str
    observed: str
    expected: str


Evidence = Annotated[Replay | Reading, Field(discriminator="kind")]


class Look(BaseModel):
    """One thing that was compared between the sides, or was not.

    Attributes:
        what: 'steps', 'epochs', 'tf.function', 'logs', 'evaluation', 'end of run' and the like.
        compared: whether it was.
        said: how much of it was, or why it was not.
        open: it was not, and the sides may differ in it: the verdict cannot be 'identical'.
    """

    what: str
    compared: bool
    said: str
    open: bool = False


class Place(BaseModel):
    """A line of the user's own code.

    Attributes:
        file: from the working directory on where it is below that.
        line: from 1.
        code: what stands there; empty where it cannot be read.
    """

    file: str
    line: int
    code: str


class Cause(BaseModel):
    """One practice in which the two trainings differ.

    Attributes:
        id: from the catalogue.
        side: 'keras_fit' or 'custom_loop', whichever departs from what is right; where neither does
            by itself, the loop, because fit is what it is held against.
        first_visible: stage at which it shows first; mostly the one of the catalogue.
        step: training step (from 1, over all epochs) at which it shows first; None where it shows
            before or after all steps.
        epoch: the epoch (from 1) which that step is of.
        evidence: replays first, where a computation could be done again; readings else.
        fix: what to do.
        places: lines of that side's code in which it happens, or in which what is missing should
            stand; the first says most. Empty where none was seen.
        patch: the fix as a unified diff of the user's own file; empty where it is not one line, or
            not certain.
    """

    id: str
    side: str
    first_visible: Stage
    step: int | None
    epoch: int | None = None
    evidence: list[Evidence]
    fix: str = ""
    places: list[Place] = []
    patch: str = ""


class Counterpart(BaseModel):
    """A side that was in no script, and was made from what was seen of the other one.

    Attributes:
        side: 'keras_fit' or 'custom_loop'.
        title: says what it is.
        code: complete Python.
    """

    side: str
    title: str
    code: str


class Diagnosis(BaseModel):
    """The outcome.

    Attributes:
        verdict: 'identical', 'causes_found' or 'unknown'.
        causes: in the order in which they first show.
        first_divergence: first tensor that differs between the sides, step by step; None when all
            are equal or when the sides never had the same batches.
        max_abs_difference: largest difference between the weights of the two sides after the last
            compared step; of the weights they ended with where those were not compared. None when
            the models have different shapes.
        steps: training steps compared.
        tolerance: what counts as equal, from running one side twice, plus float rounding.
        unexplained: what no planted mistake reproduced, in words.
        ruled_out: ids that were replayed or looked for and do not apply.
        notes: what else is worth knowing (code that draws unseeded random numbers).
        coverage: what was compared, and what was not; 'identical' is said only where nothing is
            left open.
        failures: stages of Twintrain's own that failed; each costs what it would have looked for.
        curve: largest difference over all weights after each compared step.
        tables: per compared step, every tensor.
        seconds: spent.
        phases: seconds per phase.
        made: the side that was made, where the code had one only.
    """

    verdict: Verdict
    causes: list[Cause]
    first_divergence: Divergence | None
    max_abs_difference: float | None
    steps: int
    tolerance: float
    unexplained: list[str]
    ruled_out: list[str]
    notes: list[str]
    coverage: list[Look] = []
    failures: list[str] = []
    curve: list[float | None]
    tables: list[list[Difference]]
    seconds: float = 0.0
    phases: dict[str, float] = {}
    made: Counterpart | None = None

    def _repr_html_(self) -> str | None:
        return html_of(self)
