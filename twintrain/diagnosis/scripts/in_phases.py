"""Diagnoses a training in several phases: each by itself, both sides from the same start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twintrain.diagnosis.budget import Report
from twintrain.diagnosis.result import Diagnosis, Look
from twintrain.diagnosis.scripts.script_subject import Part
from twintrain.diagnosis.watch.user_module import UserCodeError
from twintrain.errors import TwintrainError


def in_phases(
    phases: Sequence[dict[str, Part]],
    diagnose: Callable[[dict[str, Part]], Diagnosis],
    report: Report,
) -> Diagnosis:
    """Diagnose one phase after the other, up to the first in which the sides differ.

    Args:
        phases: the trainings of each, by side.
        diagnose: one of them.
        report: hears which it is.

    Returns:
        What is told of the last phase that was looked at, and what was said of those before.
    """
    if len(phases) == 1:
        return diagnose(phases[0])
    count, notes, looks = len(phases), [], []
    for number, parts in enumerate(phases, start=1):
        which = " and ".join(part.training.describe() for part in parts.values())
        report(f"phase {number} of {count}: {which}")
        try:
            found = diagnose(parts)
        except (TwintrainError, UserCodeError) as error:
            if number == 1:
                raise
            # Before it both sides train alike; what comes between may need all of what came before.
            why = f"with shorter phases before it the code does not come to it: {error}"
            looks.append(Look(what=f"phase {number}", compared=False, said=why, open=True))
            found = found.model_copy(update={"verdict": "unknown"})
            break
        alike = found.verdict == "identical"
        said = "train alike" if alike else "what is told is of this phase"
        looks.append(
            Look(what=f"phase {number} of {count}", compared=True, said=f"{which}: {said}")
        )
        if not alike or number == count:
            break
        notes += [f"Phase {number}: {note}" for note in found.notes]
    if number < count:
        later = f"phase {number + 1}" if number + 1 == count else f"phases {number + 1} to {count}"
        why = f"phase {number} was not found to be alike"
        looks.append(Look(what=later, compared=False, said=why, open=True))
    return found.model_copy(
        update={"notes": [*notes, *found.notes], "coverage": [*looks, *found.coverage]}
    )


def with_unseen(found: Diagnosis, why: Sequence[str]) -> Diagnosis:
    """The same where more phases may follow that were not seen: then nothing is known to be alike.

    Args:
        found: what is told of those that were.
        why: reasons, none where all were seen.
    """
    looks = [Look(what="further phases", compared=False, said=one, open=True) for one in why]
    verdict = "unknown" if why and found.verdict == "identical" else found.verdict
    return found.model_copy(update={"verdict": verdict, "coverage": [*found.coverage, *looks]})
