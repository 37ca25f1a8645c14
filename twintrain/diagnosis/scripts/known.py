"""What the first look at a script tells, added to what the stages find."""

from __future__ import annotations

from twintrain.diagnosis.result import Counterpart, Diagnosis
from twintrain.diagnosis.scripts.script_subject import ScriptSubject
from twintrain.diagnosis.scripts.trainings import Training
from twintrain.diagnosis.stages.epochs import name_epochs
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.diagnosis.watch.trained_model import shares_variables

# What somebody may have wanted: of a loop that stands alone, these are no mistakes. What is left is
# what such a loop does wrong.
CHOICES = frozenset(
    {
        "augmentation_one_sided",
        "batch_size_differs",
        "best_weights_not_restored",
        "clip_per_variable_vs_global",
        "clipping_missing",
        "early_stopping_rule",
        "gradient_accumulation",
        "learning_rate_schedule",
        "loss_weights_ignored",
        "optimizer_differs",
        "precision_differs",
        "preprocessing_differs",
        "trainable_flags",
        "weights_ignored",
    }
)


def tell_what_was_seen(pair: Pair, subject: ScriptSubject) -> None:
    """Add causes and notes that are read off the script itself."""
    trainings = [part.training for part in subject.parts.values()]
    notes = pair.findings.notes
    if len(trainings) == 2:
        _compare_trainings(pair, *trainings)
        _compare_what_was_taken_over(pair, subject)
    if len(trainings) == 2 and not subject.not_handed:
        notes.append(
            "Both sides were given the same weights before their first step; which weights the "
            "code itself draws was not compared."
        )
    for side in sorted(subject.not_handed):
        why = f"the weights of the model that {side} trains are not those of the other side's"
        pair.findings.not_compared("training from the same weights", why, open_=True)
    for program in {part.program.name: part.program for part in subject.parts.values()}.values():
        if program.source.left_out:
            notes.append(f"Left out of the notebook: {'; '.join(program.source.left_out)}.")
    # Of the subject that was watched at last: it may be another than at first.
    feed = pair.subject.feed if isinstance(pair.subject, ScriptSubject) else subject.feed
    if not feed.replaceable:
        notes.append(
            f"Run on all of its rows, because {feed.why_not}; how it stops on other rows was not "
            "tried."
        )
    notes += [
        f"{training.describe()} is come to {training.again + 1} times; the first was taken."
        for training in trainings
        if training.again
    ]
    notes += [
        f"Of several calls of fit, the one at line {training.line} was taken: it alone is given "
        "the rows that the loop trains on. --fit LINE chooses another."
        for training in trainings
        if training.chosen_by_rows
    ]
    notes += [
        f"Left out: {left.describe()}; the other side trains no model like it, or not in as many "
        "parts. --fit LINE and --loop LINE choose another."
        for part in subject.parts.values()
        for left in part.left_out
    ]


def _compare_what_was_taken_over(pair: Pair, subject: ScriptSubject) -> None:
    """Compare with what weights and what state of the optimizer a later phase begins."""
    if len(subject.inherited) != 2 or not any(part.earlier for part in subject.parts.values()):
        return
    fit, loop = subject.inherited[FIT], subject.inherited[LOOP]
    if fit.weights is None or loop.weights is None:
        why = "with which weights it begins on a side was not seen"
        pair.findings.not_compared("start of the phase", why, open_=True)
    elif fit.weights != loop.weights:
        at_fault = FIT if len(fit.weights) < len(loop.weights) else LOOP
        count = len(subject.parts[FIT].training.shapes)
        found = {FIT: len(fit.weights), LOOP: len(loop.weights)}
        pair.findings.name_cause(
            "different_initial_weights",
            at_fault,
            None,
            by_reading(
                "weights that the phases before have left, when this one begins",
                f"{found[at_fault]} of {count}",
                f"{found[pair.other(at_fault).name]} of {count}",
            ),
            fix="Let both sides begin this phase with what the one before has trained.",
        )
    _compare_optimizers(pair, fit.optimizers, loop.optimizers)


def _compare_optimizers(pair: Pair, fit: tuple[int, int], loop: tuple[int, int]) -> None:
    """Of each side: how many optimizers with a state the earlier phases had, and how many go on."""
    if fit[0] and loop[0] and bool(fit[1]) != bool(loop[1]):
        pair.findings.name_cause(
            "optimizer_state_reset",
            LOOP if fit[1] else FIT,
            None,
            by_reading(
                "optimizer when this phase begins", "made anew", "goes on from the phase before"
            ),
            fix="Let both sides go on with their optimizer, or both begin with a new one.",
        )
    elif fit != loop:
        why = "what a side that updates by hand, or by several, goes on with was not seen"
        pair.findings.not_compared("optimizer when the phase begins", why, open_=True)


def _compare_trainings(pair: Pair, fit: Training, loop: Training) -> None:
    """Compare what is read off the script: epochs, and whether it trains one model twice."""
    epochs = fit.own_epochs, loop.own_epochs
    if None not in epochs and epochs[0] != epochs[1]:
        told = f"Train both for as many epochs: fit has {epochs[0]}, the loop {epochs[1]}."
        name_epochs(pair, LOOP, (), (epochs[1] or 0,), (epochs[0] or 0,), told)
    if any(shares_variables(model, other) for model in fit.models for other in loop.models):
        pair.findings.name_cause(
            "different_initial_weights",
            LOOP if loop.line > fit.line else FIT,
            None,
            by_reading("weights before the first step", "those another training left", "new ones"),
            fix="Build the model anew before the second training, and give it the same weights.",
        )


def as_seen_alone(found: Diagnosis, subject: ScriptSubject) -> Diagnosis:
    """The diagnosis of a side that stands alone: what may have been wanted is told as that, and is
    no cause; and the side that was made is shown. Where that is the loop, whatever differs is ours.
    """
    made = subject.made
    if made is None:
        return found
    (part,) = subject.parts.values()
    ours = made.side == LOOP
    wanted = [cause for cause in found.causes if ours or cause.id in CHOICES]
    causes = [cause for cause in found.causes if cause not in wanted]
    told = "The loop that was made differs from the fit in" if ours else "Taken for intended:"
    notes = [
        *found.notes,
        *(f"{told} {cause.id}. {cause.fix}" for cause in wanted),
        *(f"Not part of the code that was made: {name}." for name in made.left_out),
    ]
    verdict = found.verdict
    if wanted and not causes:
        verdict = "unknown"
    counterpart = Counterpart(
        side=made.side, title=made.title, code=made.shown(part.training.own_epochs)
    )
    return found.model_copy(
        update={"causes": causes, "notes": notes, "verdict": verdict, "made": counterpart}
    )


def without_chance(found: Diagnosis) -> Diagnosis:
    """The same where weights could not be handed over: that the sides draw others is no cause."""
    causes = [cause for cause in found.causes if cause.id != "different_initial_weights"]
    verdict = found.verdict if causes else "unknown"
    return found.model_copy(update={"causes": causes, "verdict": verdict})
