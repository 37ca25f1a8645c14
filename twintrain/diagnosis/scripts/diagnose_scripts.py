"""Diagnosis of scripts and notebooks: finds their trainings, and lets the stages look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twintrain.diagnosis.budget import DEADLINE, READING, Budget, Report
from twintrain.diagnosis.diagnose import diagnose_subject
from twintrain.diagnosis.result import Diagnosis
from twintrain.diagnosis.scripts.by_rows import counterpart
from twintrain.diagnosis.scripts.in_phases import in_phases, with_unseen
from twintrain.diagnosis.scripts.known import as_seen_alone, tell_what_was_seen, without_chance
from twintrain.diagnosis.scripts.lookout import Lookout, Seen
from twintrain.diagnosis.scripts.made_fit import fit_for
from twintrain.diagnosis.scripts.made_loop import loop_for
from twintrain.diagnosis.scripts.made_side import MadeSide
from twintrain.diagnosis.scripts.phases import Phases, phases_of
from twintrain.diagnosis.scripts.program import Program
from twintrain.diagnosis.scripts.script_rows import feed_of
from twintrain.diagnosis.scripts.script_subject import (
    Part,
    ScriptSubject,
    build_with,
    read_rows,
    watch_alone,
)
from twintrain.diagnosis.scripts.trainings import Training, choose, trainings_of, with_a_fit
from twintrain.diagnosis.watch.process_state import as_found
from twintrain.diagnosis.watch.trace import FIT, LOOP, SIDES
from twintrain.diagnosis.watch.user_module import UserCodeError, seed_all, user_traceback
from twintrain.errors import TwintrainError, shortened
from twintrain.garbage import only_new_objects


@dataclass(frozen=True)
class Choice:
    """Lines that somebody chose, where a program trains more than twice."""

    fit: int | None = None
    loop: int | None = None

    def of(self, side: str) -> int | None:
        """The line for a side."""
        return self.fit if side == FIT else self.loop


def diagnose_scripts(
    programs: Sequence[Program],
    choice: Choice = Choice(),
    deadline: float = DEADLINE,
    report: Report = lambda line: None,
) -> Diagnosis:
    """Diagnose one program that trains twice, or two that train once each, `fit` first.

    Args:
        programs: to be run, from their start again and again.
        choice: of lines, where a program trains more often.
        deadline: seconds after which what has not ended by itself is stopped.
        report: hears what is being done.

    Raises:
        TwintrainError: they do not train, or it is not clear which trainings are meant.
        UserCodeError: their code raised.
    """
    with only_new_objects(), as_found():  # each run of a program ends in a collection
        budget = Budget(deadline, report)
        seen = {}
        for program in programs:
            with budget.phase(f"running {Path(program.name).name} for a first look"):
                seen[program.name] = _look(program)
        report(READING)
        phases, unseen = _phases(programs, seen, choice)
        found = in_phases(phases, lambda parts: _diagnose(parts, budget), report)
        return with_unseen(found, [*unseen, *_not_come_to(programs, seen)])


def _not_come_to(programs: Sequence[Program], seen: dict[str, Seen]) -> list[str]:
    """Why there may be trainings that the first look did not come to."""
    found = []
    for program in programs:
        one = seen[program.name]
        if one.timed_out:
            found.append(f"the first look at {program.name} took too long")
        elif one.failure is not None and program.trains_behind(one.failure):
            why = f"{program.name} raised in the first look, where trainings are cut"
            found.append(f"{why}: {shortened(repr(one.failure))}")
    return found


def _diagnose(parts: dict[str, Part], budget: Budget) -> Diagnosis:
    """Diagnose two trainings, or one that stands alone."""
    subject = subject_of_parts(parts, budget)
    found = diagnose_subject(subject, budget, lambda pair: tell_what_was_seen(pair, subject))
    if subject.not_handed:
        found = without_chance(found)
    return as_seen_alone(found, subject) if subject.made is not None else found


def subject_of_parts(parts: dict[str, Part], budget: Budget) -> ScriptSubject:
    """The two sides, with the rows they are to get."""
    with budget.phase(READING):
        feed = feed_of([(part.training, part.seen) for part in parts.values()])
        feed, train, test = read_rows(parts, feed)
    first = parts.get(FIT) or parts[LOOP]
    functions = {"build_model": build_with(first.training.model)}
    own = [part.training.own_epochs for part in parts.values()]
    known = [epochs for epochs in own if epochs is not None]
    subject = ScriptSubject(
        functions,
        {},
        train,
        test,
        most_epochs=min(known) if known else None,
        parts=parts,
        feed=feed,
    )
    if len(parts) == 1:
        with budget.phase("making the side that is not there"):
            subject.made = _made_for(subject, first.training)
    return subject


def _made_for(subject: ScriptSubject, training: Training) -> MadeSide:
    """The counterpart of the only training there is."""
    if training.side == FIT and training.fit is not None:
        return loop_for(training.fit, subject.train, subject.test)
    return fit_for(watch_alone(subject, LOOP), subject.train, subject.test)


def _look(program: Program) -> Seen:
    seed_all()
    with as_found():
        seen = Lookout(program).look()
    if seen.failure is not None and not (seen.fits or seen.steps):
        raise UserCodeError(program.name, user_traceback(seen.failure)) from None
    return seen


def _phases(
    programs: Sequence[Program], seen: dict[str, Seen], choice: Choice
) -> tuple[list[dict[str, Part]], list[str]]:
    """The trainings to compare, by side: one pair for each phase of them; and why there may be
    more.
    """
    found = {program.name: trainings_of(seen[program.name]) for program in programs}
    with_a_fit([training for trainings in found.values() for training in trainings])
    if len(programs) == len(SIDES):
        # Named the other way round, they are meant all the same.
        has_fit = [any(t.side == FIT for t in found[program.name]) for program in programs]
        programs = programs if has_fit[0] or not has_fit[1] else programs[::-1]
    of = dict(zip(SIDES, (programs[0], programs[-1]), strict=True))
    mine = {side: [t for t in found[of[side].name] if t.side == side] for side in SIDES}
    clear = phases_of(mine[FIT], mine[LOOP]) if choice == Choice() else Phases()
    if not clear.pairs:
        chosen = _chosen(of, found, seen, choice)
        clear = _phases_of_chosen(chosen, of)
    phases = [
        {
            side: _part(
                of[side],
                training,
                found,
                seen,
                earlier=[pair[side] for pair in clear.pairs[:number]],
                left_out=clear.left_out.get(side, []),
            )
            for side, training in pair.items()
        }
        for number, pair in enumerate(clear.pairs)
    ]
    return phases, clear.unseen


def _phases_of_chosen(chosen: dict[str, Training], of: dict[str, Program]) -> Phases:
    """The phases of one training of each side; one side alone is taken as it is.

    Raises:
        TwintrainError: the sides train in phases that do not belong together.
    """
    if len(chosen) == 1 or not any(training.parts for training in chosen.values()):
        return Phases([chosen])
    found = phases_of([chosen[FIT]], [chosen[LOOP]])
    if not found.pairs and all(map(_comes_again, chosen.values())):
        first = {side: training.parts[0] for side, training in chosen.items()}
        return Phases([first], unseen=["both sides train again and again; the first was taken"])
    if not found.pairs:
        told = "; ".join(
            f"{of[side].name}: {', '.join(one.describe() for one in training.parts or [training])}"
            for side, training in chosen.items()
        )
        raise TwintrainError(
            f"The sides train in several parts, and which belong together is not clear. {told}.",
            "Choose one part of each: --fit LINE --loop LINE.",
        )
    return found


def _comes_again(training: Training) -> bool:
    """Whether its parts are all at the same place of the program."""
    return len({section.place for part in training.parts for section in part.sections}) == 1


def _part(
    program: Program,
    training: Training,
    found: dict[str, list[Training]],
    seen: dict[str, Seen],
    earlier: list[Training],
    left_out: list[Training],
) -> Part:
    """A training with the others of its program around it."""
    all_ = [part for t in found[program.name] for part in (t.parts or [t])]
    own = {(section.place, section.ordinal) for section in training.sections}
    others = [t for t in all_ if not own & {(s.place, s.ordinal) for s in t.sections}]
    return Part(program, training, others, seen[program.name], earlier, left_out)


def _chosen(
    of: dict[str, Program], found: dict[str, list[Training]], seen: dict[str, Seen], choice: Choice
) -> dict[str, Training]:
    """The training of each side; of one where the other has none."""
    chosen: dict[str, Training] = {}
    single = of[FIT] is of[LOOP]
    for side, program in of.items():
        trainings = found[program.name]
        only = single and choice == Choice() and side == FIT
        taken = counterpart(trainings) if only else None
        training = taken or choose(trainings, side, choice.of(side), program.name)
        if taken is not None:
            taken.chosen_by_rows = True
        if training is not None:
            chosen[side] = training
        elif not (single and trainings and seen[program.name].failure is None):
            raise TwintrainError(*_lacking(program, seen[program.name], trainings, side))
    return chosen


def _lacking(
    program: Program, seen: Seen, trainings: Sequence[Training], side: str
) -> tuple[str, str]:
    """What to say of a program without a training of a side."""
    what = "no call of fit" if side == FIT else "no loop of its own"
    known = "; ".join(training.describe() for training in trainings) or "nothing that trains"
    if seen.failure is not None:
        raised = shortened(repr(seen.failure))
        return (
            f"{program.name} raised before all of its trainings were seen: {raised}.",
            "Mend it, or leave out what raises.",
        )
    if seen.untracked and (side == LOOP or not trainings):
        return (
            f"{program.name} trains variables that no Keras model has.",
            "A keras.Model can be watched; tf.Module and bare variables cannot.",
        )
    return f"{program.name} has {what}; seen: {known}.", "Name a file that has both, or two files."
