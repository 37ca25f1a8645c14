"""The catalogue of pitfalls: why a hand-written loop and `fit` disagree.

Its entries stand in the files of `pitfalls/`, in the order in which they first show in lockstep.
The ids are stable: programs may depend on them.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from twintrain.errors import TwintrainError, did_you_mean

# In this order, and within a file from top to bottom.
_FILES = ("batches", "loss", "update", "figures")
_TRACKERS = {
    "tf": "https://github.com/tensorflow/tensorflow/issues/",
    "keras": "https://github.com/keras-team/keras/issues/",
}
GUIDE = "https://keras.io/guides/writing_a_custom_training_loop_in_tensorflow/"


class Stage(str, Enum):
    """Where in a training a pitfall shows, in the order in which things happen.

    The tables of lockstep have words of their own for the tensors of one step
    (`twintrain.parity.divergence.Difference.stage`).
    """

    START = "before step 0"
    BATCH_CONTENTS = "batch contents"
    BATCH_COUNT = "batch count"
    FORWARD = "forward output"
    LOSS = "loss"
    GRADIENTS = "gradients"
    UPDATE = "update"
    METRIC = "metric"
    SECOND_METRIC = "metric, second epoch"
    EVALUATION = "evaluation"
    END = "end of run"

    # What is printed is the word; by itself, Enum prints its own name.
    __str__ = str.__str__


class Pitfall(BaseModel):
    """One entry.

    Attributes:
        id: stable name.
        does: completes the sentence "custom_loop ...".
        stage: where it shows first when two trainings are stepped side by side.
        looks: what one sees of it.
        fix: what to do.
        example: code that is right.
        evidence: 'established' as the cause in a public report, 'inferred' from one, or from the
            'documentation'.
        reports: public reports, 'tf#N', 'keras#N' or 'owner/repository#N'.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    does: str
    stage: Stage
    looks: str
    fix: str
    example: str
    evidence: Literal["established", "inferred", "documentation"]
    reports: tuple[str, ...]

    @property
    def links(self) -> list[str]:
        """Addresses of the reports; of Keras's guide to training loops where there is none."""
        found = [
            _TRACKERS.get(name, f"https://github.com/{name}/issues/") + number
            for name, _, number in (report.partition("#") for report in self.reports)
        ]
        return found or [GUIDE]


@cache
def catalogue() -> tuple[Pitfall, ...]:
    """All entries, in the order in which they first show."""
    folder = Path(__file__).parent / "pitfalls"
    texts = [(folder / f"{name}.yaml").read_text(encoding="utf-8") for name in _FILES]
    return tuple(Pitfall(**entry) for text in texts for entry in yaml.safe_load(text))


def by_id(id_: str) -> Pitfall:
    """One entry.

    Raises:
        TwintrainError: no entry has this id.
    """
    for pitfall in catalogue():
        if pitfall.id == id_:
            return pitfall
    raise TwintrainError(
        f"There is no pitfall {id_!r}.", did_you_mean(id_, [p.id for p in catalogue()])
    )


def order(id_: str) -> int:
    """Place in the catalogue."""
    return [pitfall.id for pitfall in catalogue()].index(id_)
