"""What a program trains: which of its lines are one training, which of them is `fit`'s, and which
of its loops counts epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import keras

from twintrain.diagnosis.scripts.entries import Entry, rows_of
from twintrain.diagnosis.scripts.lookout import FitSeen, Seen, StepSeen
from twintrain.diagnosis.scripts.loop_marks import Key
from twintrain.diagnosis.scripts.loops import Pass
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.errors import TwintrainError

# As many rows as this times all of them are still one pass: of the last batches some are missing.
_ABOUT_ALL = 1.5
# What the items of the loop are, or what is repeated.
Repeats = Literal["fit", "epochs", "steps", "once"]


@dataclass(frozen=True)
class Section:
    """A part of a program that trains.

    Attributes:
        place: the call of `fit`, or the loop over epochs (over steps where there is none).
        ordinal: which time the program comes there, from 1.
        repeats: 'fit': its argument tells the epochs; 'epochs': each item of the loop is one;
            'steps': each item of the loop is a step; 'once': it is gone through once.
        own: epochs (steps, where these are repeated) in the program itself; None where that is not
            known beforehand.
        passes: whole passes over the data that its own steps are, where these are repeated and that
            is known.
    """

    place: Key
    ordinal: int
    repeats: Repeats
    own: int | None
    passes: int | None = None


@dataclass
class Training:
    """One training.

    Attributes:
        side: 'keras_fit' or 'custom_loop'.
        model: trained by it, first if there are several.
        sections: its parts, in order.
        lines: of its calls of `fit`, or of its gradients.
        feeds: where its rows entered; empty where that is not known.
        held_out: where its validation rows entered.
        batch: rows in its first batch.
        keys: what the rows of its first step are recognised by; empty for `fit`.
        fit: its first call of `fit`, if it has one.
        again: how often the program comes there again, with other models.
        chosen_by_rows: it was taken of several calls of `fit`, because it is given the loop's rows.
        goes_on: it stands in a loop, beside the one over its own epochs, that may go on to more
            trainings than were seen.
        parts: where its model is trained several times, each of them by itself.
        number: among all trainings of its side, in the program's order.
    """

    side: str
    model: keras.Model
    sections: list[Section]
    lines: list[Key]
    feeds: frozenset[Entry] = frozenset()
    held_out: frozenset[Entry] = frozenset()
    batch: int = 0
    keys: frozenset[bytes] = frozenset()
    fit: FitSeen | None = None
    again: int = 0
    chosen_by_rows: bool = False
    goes_on: bool = False
    models: list[keras.Model] = field(default_factory=list)
    parts: list[Training] = field(default_factory=list)
    number: int = 0

    @property
    def line(self) -> int:
        """Its first line."""
        return min(section.place[1] for section in self.sections)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of all weights of its model, sorted: two people make their layers in orders of their
        own.
        """
        return sorted(tuple(weight.shape) for weight in self.models[0].weights)

    @property
    def own_epochs(self) -> int | None:
        """Epochs the program itself asks for, over all sections."""
        found = [s.own if s.repeats in ("fit", "epochs") else s.passes for s in self.sections]
        known = [one for one in found if one is not None]
        return sum(known) if len(known) == len(found) else None

    def describe(self) -> str:
        """In a few words."""
        what = "fit" if self.side == FIT else "a loop"
        if self.side == LOOP and self.fit is not None:
            what = "fit with a train_step of its own"
        return f"{what} at line {self.line}"


def trainings_of(seen: Seen) -> list[Training]:
    """All trainings of a program, in order."""
    by_fit = _of_fits(seen)
    return _merged([*by_fit, *_of_steps(seen, seen.steps)])


def _of_fits(seen: Seen) -> list[Training]:
    found = []
    for call in seen.fits:
        side = LOOP if call.own_step else FIT
        section = _fit_section(call, seen.fits)
        training = Training(side, call.model, [section], [call.place], call.feeds, call.held_out)
        training.fit, training.models = call, [call.model]
        training.batch = call.batch
        training.goes_on = any(map(_may_go_on, _beside(call.chain, section)))
        found.append(training)
    return found


def _fit_section(call: FitSeen, calls: Sequence[FitSeen]) -> Section:
    """`fit` in a loop that goes on with the same model is one training of as many epochs."""
    epochs = int(call.given.get("epochs", 1)) - int(call.given.get("initial_epoch", 0) or 0)
    around = call.chain[-1] if call.chain else None
    if around is not None and epochs == 1:
        here = [c for c in calls if around in c.chain]
        if len(here) > 1 and all(c.model is call.model for c in here):
            return Section(around.key, around.ordinal, "epochs", around.own)
    return Section(call.place, call.ordinal, "fit", epochs)


def _of_steps(seen: Seen, steps: Iterable[StepSeen]) -> list[Training]:
    groups: dict[object, list[StepSeen]] = {}
    most = max((rows_of(arrays) or 0 for arrays in seen.arrays.values()), default=0)
    fitted = max((rows_of(call.given.get("x")) or 0 for call in seen.fits), default=0)
    full = {id(step) for step in steps if _is_full(step, seen.steps, most)}
    for step in steps:
        around = _around(step, seen.steps, id(step) in full, max(most, fitted))
        groups.setdefault(around[0] if around else step.place, []).append(step)
    return [_of_group(group, seen, full, max(most, fitted)) for group in groups.values()]


def _of_group(group: list[StepSeen], seen: Seen, full: set[int], most: int) -> Training:
    first = group[0]
    around = _around(first, seen.steps, id(first) in full, most)
    if around is None:
        section = Section(first.place, 1, "once", 1)
    else:
        run, repeats = around
        passes = run.passes if repeats == "steps" and run.over_data else None
        section = Section(run.key, run.ordinal, repeats, run.own, passes)
    models = list({id(model): model for step in group for model in step.models}.values())
    lines = sorted({step.place for step in group})
    feeds = frozenset().union(*(step.feeds for step in group))
    training = Training(
        LOOP, models[0], [section], lines, feeds, batch=first.rows, keys=first.keys, models=models
    )
    training.goes_on = any(map(_may_go_on, _beside([run for run, _ in first.chain], section)))
    return training


def _beside(chain: Sequence[Pass], section: Section) -> list[Pass]:
    """The loops around one over epochs."""
    keys = [run.key for run in chain]
    return list(chain[: keys.index(section.place)] if section.place in keys else chain)


def _may_go_on(run: Pass) -> bool:
    return not run.ended and (run.own is None or run.items < run.own)


def _around(
    step: StepSeen, steps: Sequence[StepSeen], full: bool, most: int
) -> tuple[Pass, Repeats] | None:
    """The loop that counts the epochs of a step, or else its steps; None outside of any loop.

    Args:
        step: it.
        steps: all that were seen.
        full: it is of all rows.
        most: rows of the largest arrays.
    """
    chain = [run for run, _ in step.chain]
    if not chain:
        return None
    if full:
        return chain[-1], "epochs"
    over_data = next((i for i, r in enumerate(chain) if r.over_data and not r.phases), None)
    if over_data is not None:
        if over_data:
            return _epochs(chain[:over_data]), "epochs"
        return chain[0], "steps" if (chain[0].passes or 0) > 1 else "once"
    if _steps_in_an_item(step, steps) > 1:
        return chain[-1], "epochs"  # a comprehension or a function goes through the batches
    if len(chain) > 1:
        return _epochs(_beyond_updates(chain, step.rows, most)), "epochs"
    return chain[-1], "steps"


def _beyond_updates(chain: list[Pass], rows: int, most: int) -> list[Pass]:
    """The loops around a step without those that go through the rows by themselves: all of their
    items together take about as many as there are, so they go through updates, and the epochs are
    around them.
    """
    around, taken = chain[:-1], rows
    for run, inside in zip(reversed(chain[:-1]), reversed(chain[1:]), strict=True):
        if inside.own is None or run.own is None or len(around) == 1:
            break
        taken *= inside.own
        if 2 * taken > most or taken * run.own > _ABOUT_ALL * most:
            break
        around = around[:-1]
    return around


def _epochs(around: list[Pass]) -> Pass:
    """Of the loops around one over batches, the one over epochs: the nearest that trains in more
    than one of its items. Others go through phases, of which one trains.
    """
    return next((run for run in reversed(around) if run.trained > 1), around[-1])


def _steps_in_an_item(step: StepSeen, steps: Sequence[StepSeen]) -> int:
    """Steps from the same line in one item of the innermost loop."""
    innermost = step.chain[-1]
    return sum(
        other.place == step.place and bool(other.chain) and other.chain[-1] == innermost
        for other in steps
    )


def _is_full(step: StepSeen, steps: Sequence[StepSeen], most: int) -> bool:
    """Whether a step takes all rows: the same ones as every other one of its loop."""
    if not step.chain or step.rows < most or step.rows < 2:
        return False
    run = step.chain[-1][0]
    others = [s for s in steps if s.chain and s.chain[-1][0] is run and s.place == step.place]
    return len(others) > 1 and len({other.digest for other in others}) == 1


def _merged(found: list[Training]) -> list[Training]:
    """Trainings of one model are one; at the same place with other models, one comes again."""
    by_model: list[Training] = []
    for number, training in enumerate(found):
        training.number = number
        same = next(
            (
                other
                for other in by_model
                if other.side == training.side and _share(other, training)
            ),
            None,
        )
        if same is None:
            by_model.append(training)
            continue
        new = [section for section in training.sections if section not in same.sections]
        if new:  # not `fit` again in a loop that is its epochs
            same.parts = [*(same.parts or [replace(same, sections=[*same.sections])]), training]
        same.sections += new
        same.lines = sorted({*same.lines, *training.lines})
        same.feeds |= training.feeds
        same.held_out |= training.held_out
    kept: list[Training] = []
    for training in by_model:
        places = [section.place for section in training.sections]
        same = next(
            (
                other
                for other in kept
                if other.side == training.side
                and [section.place for section in other.sections] == places
                and other.shapes == training.shapes
            ),
            None,
        )
        if same is None:
            kept.append(training)
        else:
            same.again += 1
    return kept


def _share(one: Training, other: Training) -> bool:
    ids = {id(model) for model in one.models}
    return any(id(model) in ids for model in other.models)


def choose(found: list[Training], side: str, line: int | None, name: str) -> Training | None:
    """The training of a side, or one part of it; None where there is none.

    Args:
        found: all trainings of a program.
        side: 'keras_fit' or 'custom_loop'.
        line: that somebody chose; None where nobody did.
        name: of the program.

    Raises:
        TwintrainError: there are several, or none at that line.
    """
    flag = "--fit" if side == FIT else "--loop"
    candidates = [training for training in found if training.side == side]
    if line is not None:
        parts = [part for t in candidates for part in t.parts]
        for group in (parts, candidates):
            chosen = [t for t in group if line in {t.line, *(place[1] for place in t.lines)}]
            if len(chosen) == 1:
                return chosen[0]
        known = ", ".join(training.describe() for training in candidates) or "none"
        raise TwintrainError(
            f"{name} has no such training at line {line}.", f"Choose {flag} from: {known}."
        )
    if len(candidates) > 1 and len({tuple(training.lines) for training in candidates}) == 1:
        # Models of several sizes, one after the other.
        return replace(candidates[0], again=sum(t.again + 1 for t in candidates) - 1)
    if len(candidates) > 1:
        known = "; ".join(training.describe() for training in candidates)
        lines = " or ".join(f"{flag} {training.line}" for training in candidates)
        raise TwintrainError(f"{name} trains more than once: {known}.", f"Choose with {lines}.")
    return candidates[0] if candidates else None


def with_a_fit(found: Sequence[Training]) -> None:
    """Where none of these is by Keras's own `train_step`, let a `fit` with another one stand for
    it beside a loop.

    Args:
        found: in all programs that are held against each other.
    """
    fits = [training for training in found if training.fit is not None]
    if len(found) > 1 and fits and all(training.side == LOOP for training in found):
        fits[0].side = FIT
