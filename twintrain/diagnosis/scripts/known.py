"""What the first look at a script tells, added to what the stages find."""

from __future__ import annotations

from twintrain.diagnosis.scripts.script_subject import Part
from twintrain.diagnosis.stages.epochs import name_epochs
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.watch.trace import FIT, LOOP


def tell_what_was_seen(pair: Pair, parts: dict[str, Part]) -> None:
    """Add causes and notes that are read off the script itself."""
    fit, loop = parts[FIT].training, parts[LOOP].training
    _compare_epochs(pair, fit.own_epochs, loop.own_epochs)
    if any(model is other for model in fit.models for other in loop.models):
        pair.findings.name_cause(
            "different_initial_weights",
            LOOP if loop.line > fit.line else FIT,
            None,
            by_reading("model", "the one that was trained before", "one of its own"),
            fix="Build the model anew before the second training, and give it the same weights.",
        )
    pair.findings.notes.append(
        "Both sides were given the same weights before their first step; which weights the script "
        "itself draws was not compared."
    )
    for part in {id(part.program): part for part in parts.values()}.values():
        left_out = part.program.source.left_out
        if left_out:
            pair.findings.notes.append(f"Left out of the notebook: {'; '.join(left_out)}.")
    feed = getattr(pair.subject, "feed", None)
    if feed is not None and not feed.replaceable:
        pair.findings.notes.append(
            f"Run on all of its rows, because {feed.why_not}: early stopping on other rows was not "
            "tried."
        )
    for training in (fit, loop):
        if training.again:
            pair.findings.notes.append(
                f"{training.describe()} is come to {training.again + 1} times; the first was taken."
            )


def _compare_epochs(pair: Pair, fit: int | None, loop: int | None) -> None:
    if fit is None or loop is None or fit == loop:
        return
    fix = f"Train both for as many epochs: fit has {fit}, the loop {loop}."
    name_epochs(pair, LOOP, (), (loop,), (fit,), fix)
