"""Stage 'batch contents': does each input come with its own target?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.target_matching import sources_of
from twintrain.diagnosis.replay.tolerances import SAME_ROW, WRONG_PAIRS
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.frozen_rows import Rows, as_rows
from twintrain.diagnosis.watch.trace import Step

# Pairs that are shown.
FEW_PAIRS = 3
# Parts of an element of the data.
TARGETS, WEIGHTS = 1, 2


@dataclass
class Pairing:
    """With which rows' targets a side's inputs came.

    Attributes:
        part: of the data, targets or weights.
        steps: the training steps it was read from, by number.
        rows: per step, the row of each input.
        sources: per step, the row whose target it came with.
    """

    part: int
    steps: list[int]
    rows: list[np.ndarray]
    sources: list[np.ndarray]

    @property
    def wrong(self) -> int:
        """Inputs that came with another row's target."""
        return sum(
            int((rows != sources).sum())
            for rows, sources in zip(self.rows, self.sources, strict=True)
        )

    @property
    def count(self) -> int:
        """Inputs that were read."""
        return sum(map(len, self.rows))

    @property
    def is_wrong(self) -> bool:
        """More of them than noise in labels makes."""
        return self.wrong > WRONG_PAIRS * self.count

    @property
    def first_wrong(self) -> int:
        """The first step with such an input."""
        found = zip(self.steps, self.rows, self.sources, strict=True)
        return next(step for step, rows, sources in found if (rows != sources).any())


@looks_for("targets_misaligned")
def check_targets(pair: Pair) -> bool:
    """Look whether the pairs of input and target that each side trained on are in the data."""
    looked = False
    for part in (TARGETS, WEIGHTS):
        pairings = {side.name: _pairing(pair.subject.train, side, part) for side in pair.sides}
        found = {name: pairing for name, pairing in pairings.items() if pairing is not None}
        looked |= len(found) == len(pair.sides)
        if part == TARGETS and len(found) < len(pair.sides):
            _compare_epochs(pair)
        wrong = {name: pairing for name, pairing in found.items() if pairing.is_wrong}
        for name, pairing in wrong.items():
            hand_on(pair.subject.train, pair.side(name), pairing)
        if len(wrong) == len(pair.sides):
            pair.findings.notes.append(
                f"Both sides train inputs with the {_called(part)} of other rows."
            )
        elif wrong:
            ((name, pairing),) = wrong.items()
            name_pairing(pair, name, pairing, found.get(pair.other(name).name))
    return looked


def _called(part: int) -> str:
    return "targets" if part == TARGETS else "sample weights"


def name_pairing(pair: Pair, name: str, pairing: Pairing, other: Pairing | None) -> None:
    """Name targets (or weights) of other rows.

    Args:
        pair: findings go here.
        name: of the side that has them.
        pairing: what it trains on.
        other: the same of the other side; None where that was not seen.
    """
    evidence = by_reading(
        f"inputs that came with the {_called(pairing.part)[:-1]} of another row",
        f"{pairing.wrong:,} of {pairing.count:,}: {_examples(pair.subject.train, pairing)}",
        "none" if other is None else f"{other.wrong:,} of {other.count:,}",
    )
    pair.findings.name_cause("targets_misaligned", name, pairing.first_wrong, evidence)


def _examples(data: Rows, pairing: Pairing) -> str:
    """'row 17's input came with row 43's target'; the targets themselves where rows share them."""
    values = as_rows(data.part(pairing.part))
    shared = len(np.unique(values, axis=0)) <= len(values) / 2
    rows, sources = np.concatenate(pairing.rows), np.concatenate(pairing.sources)
    called = _called(pairing.part)[:-1]
    said: list[str] = []
    for row, source in zip(rows, sources, strict=True):
        if row == source or len(said) == FEW_PAIRS:
            continue
        if shared:
            own, fed = (_say(values[place]) for place in (row, source))
            said.append(f"row {row}, of {called} {own}, came with {fed}")
        else:
            said.append(f"row {row}'s input came with row {source}'s {called}")
    return "; ".join(said)


def _say(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _pairing(data: Rows, side: Side, part: int) -> Pairing | None:
    """Whose targets (or weights) a side's inputs came with; None where that cannot be told."""
    if data.part(part) is None:
        return None
    return next(pairings(data, side, part, _fed), None)


def pairings(
    data: Rows, side: Side, part: int, read: Callable[[list[Step], int], Iterable[np.ndarray]]
) -> Iterator[Pairing]:
    """Whose targets (or weights) a side's inputs came with, by each way to read what it was fed.

    Args:
        data: that has these.
        side: whose steps they are.
        part: targets or weights.
        read: gives, of some steps and a part, what may be it, a row per input.
    """
    known = as_rows(data.part(part))
    steps = [number for number, rows in enumerate(side.stream.rows) if (rows >= 0).all()]
    rows = [side.stream.rows[number] for number in steps]
    if not steps:
        return
    for fed in read([side.steps[number] for number in steps], part):
        if len(fed) != sum(map(len, rows)):
            continue
        sources = sources_of(np.concatenate(rows), fed, known)
        if sources is not None:
            ends = np.cumsum([len(batch) for batch in rows])[:-1]
            yield Pairing(part, steps, rows, np.split(sources, ends))


def _compare_epochs(pair: Pair) -> None:
    """Where it cannot be told whose targets a side's inputs came with: are they others in each
    epoch, and on this side alone?
    """
    vary = {side.name: _vary(side) for side in pair.sides}
    for name, varies in vary.items():
        if varies and vary[pair.other(name).name] is False:
            pair.findings.unexplained.append(
                f"{name}: inputs come with other targets in each epoch, and it cannot be told "
                "whose these are"
            )


def _vary(side: Side) -> bool | None:
    """Whether one input comes with several targets; None where that cannot be seen."""
    steps = [number for number, rows in enumerate(side.stream.rows) if (rows >= 0).all()]
    for fed in _fed([side.steps[number] for number in steps], TARGETS):
        rows = np.concatenate([side.stream.rows[number] for number in steps])
        order = np.argsort(rows, kind="stable")
        again = np.diff(rows[order]) == 0
        if not again.any():
            return None
        one, other = fed[order][:-1][again], fed[order][1:][again]
        same = np.isclose(one, other, SAME_ROW.rel, SAME_ROW.floor, equal_nan=True).all(axis=1)
        return float(1 - same.mean()) > WRONG_PAIRS
    return None


def _fed(steps: list[Step], part: int) -> Iterator[np.ndarray]:
    """What may be the targets (or weights) of some steps, a row per input: what the losses were
    called with, and what was pulled from the data set.
    """
    for read in (_called_with, _pulled):
        parts = [_matrix(read(step, part), step.size) for step in steps]
        whole = [found for found in parts if found is not None]
        if len(whole) == len(steps) and len({found.shape[1] for found in whole}) == 1:
            yield np.concatenate(whole)


def _called_with(step: Step, part: int) -> list[Any]:
    return [call.targets if part == TARGETS else call.weights for call in step.losses]


def _pulled(step: Step, part: int) -> list[Any]:
    if not isinstance(step.element, tuple) or len(step.element) <= part:
        return []
    return keras.tree.flatten(step.element[part])


def _matrix(parts: list[Any], size: int) -> np.ndarray | None:
    """Parts side by side as numbers, a row per input; None where they are something else."""
    if not parts or any(part is None for part in parts):
        return None
    arrays = [np.asarray(keras.ops.convert_to_numpy(part)) for part in parts]
    for array in arrays:
        if array.dtype.kind not in "biuf" or array.ndim == 0 or array.size % size:
            return None
        if len(array) != size and array.ndim > 1:
            return None
    return as_rows([array.reshape(size, -1) for array in arrays])


def hand_on(data: Rows, side: Side, pairing: Pairing) -> None:
    """Let the stages that replay losses and figures use the targets that the steps were fed."""

    def pick(part: Any, rows: np.ndarray) -> Any:
        return None if part is None else keras.tree.map_structure(lambda a: a[rows], part)

    for number, rows, sources in zip(pairing.steps, pairing.rows, pairing.sources, strict=True):
        places = {TARGETS: rows, WEIGHTS: rows, pairing.part: sources}
        before = side.steps[number].fed
        targets = pick(data.part(TARGETS), places[TARGETS])
        if before is not None and pairing.part == WEIGHTS:
            targets = before[0]
        side.steps[number].fed = targets, pick(data.part(WEIGHTS), places[WEIGHTS])


CHECKS = (check_targets,)
