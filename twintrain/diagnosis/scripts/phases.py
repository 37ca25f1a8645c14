"""Which trainings of two sides belong together, where there are several: a model is trained first
on one thing and then on another, or first without some layers and then with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from twintrain.diagnosis.scripts.trainings import Training
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.diagnosis.watch.trained_model import shares_variables


@dataclass
class Phases:
    """Trainings that belong together.

    Attributes:
        pairs: by side, in the order in which both sides go through them; empty where it is not
            clear.
        left_out: by side, trainings of models that the other side has none like.
        unseen: why there may be more to compare than these; empty where there is not.
    """

    pairs: list[dict[str, Training]] = field(default_factory=list)
    left_out: dict[str, list[Training]] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


def phases_of(fits: Sequence[Training], loops: Sequence[Training]) -> Phases:
    """Find which trainings of two sides belong together: those of models with weights of the same
    shapes, one after the other.

    Of several models alike, the only one that both sides train in as many parts, more than one, is
    taken. Else it is not clear where several models are alike, where a training stands in a loop
    that may go on to more of them, or where one that the other side has none like shares weights
    with another.

    Args:
        fits: of `fit`.
        loops: of the custom side.
    """
    fits, loops, left_out = _in_as_many_parts(fits, loops)
    ones, others = _apart(fits), _apart(loops)
    kept_ones, left_ones = _like(ones, others)
    kept_others, left_others = _like(others, ones)
    if not kept_ones or [t.shapes for t in kept_ones] != [t.shapes for t in kept_others]:
        return Phases()
    for kept, left in ((kept_ones, left_ones), (kept_others, left_others)):
        if any(_share(one, other) for one in kept for other in left) or not _told_apart(kept):
            return Phases()
    if len(kept_ones) > 1 and not all(map(_stands_alone, (*kept_ones, *kept_others))):
        return Phases()
    pairs = [{FIT: one, LOOP: other} for one, other in zip(kept_ones, kept_others, strict=True)]
    return Phases(pairs, {FIT: [*left_out, *left_ones], LOOP: left_others})


def _in_as_many_parts(
    fits: Sequence[Training], loops: Sequence[Training]
) -> tuple[Sequence[Training], Sequence[Training], list[Training]]:
    """The only calls of `fit` on models alike that are as many as those of the only loop, which are
    several, and those left out; all where there are none such.
    """
    if len(loops) != 1 or not loops[0].parts:
        return fits, loops, []
    (loop,) = loops
    alike = [fit for fit in fits if fit.shapes == loop.shapes]
    as_many = [fit for fit in alike if len(fit.parts) == len(loop.parts)]
    if len(as_many) != 1:
        return fits, loops, []
    return as_many, loops, [fit for fit in fits if fit is not as_many[0]]


def _apart(trainings: Sequence[Training]) -> list[Training]:
    """In the program's order, with each time that a model is trained as a training of its own."""
    apart = [part for training in trainings for part in (training.parts or [training])]
    return sorted(apart, key=lambda training: training.number)


def _like(
    trainings: list[Training], others: list[Training]
) -> tuple[list[Training], list[Training]]:
    """Those of models that others are like, and the rest."""
    known = [other.shapes for other in others]
    kept = [training for training in trainings if training.shapes in known]
    return kept, [training for training in trainings if training.shapes not in known]


def _share(one: Training, other: Training) -> bool:
    return any(shares_variables(a, b) for a in one.models for b in other.models)


def _told_apart(trainings: Sequence[Training]) -> bool:
    """Whether models that look alike are one."""
    return all(
        one.shapes != other.shapes or one.models[0] is other.models[0]
        for one, other in combinations(trainings, 2)
    )


def _stands_alone(training: Training) -> bool:
    """Whether it comes once, and its beginning is seen."""
    return (
        not training.again
        and not training.goes_on
        and all(section.repeats != "once" for section in training.sections)
    )
