"""What the command should say of a module in a form, and how what it says is counted.

The expectation is that of the module itself: the same ids, in order, the same side, none beside
them; for a correct module 'identical'. Three rules depart from it:

* One side alone cannot be held against the other. `loop_alone` has no expectation of a mistake on
  fit's side, nor of one that is a mistake only because fit does otherwise (`NEEDS_BOTH`), and
  `fit_alone` has none of anything: saying nothing is right there, 'identical' too; a refusal that
  tells what is missing (exit code 2) is counted by itself. The right name is right all the same.
  There, `shuffle_missing` beside it is right: the fit that is made trains on arrays, and shuffles.
* `train_step` trains by fit, which averages, resets and finalizes by itself.
* `EXCEPTIONS` are mistakes that a form takes away, each with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.diagnosis_sets import FOLDERS, expected_of

LOOP = "custom_loop"
OUTCOMES = (
    "right",
    "refused",
    "in part",
    "unknown",
    "wrong name",
    "false identical",
    "accused",
    "failed",
)
# Exit code of the command where a file cannot be diagnosed as it is, and it tells what to mend.
MEND = 2
# Nothing about these is wrong in itself: another loop, rightly written, does the same.
NEEDS_BOTH = {
    "augmentation_one_sided",
    "batch_size_differs",
    "best_weights_not_restored",
    "clip_per_variable_vs_global",
    "clipping_missing",
    "constraints_not_applied",
    "different_initial_weights",
    "early_stopping_rule",
    "epoch_truncated",
    "epochs_differ",
    "learning_rate_schedule",
    "loss_reduction",
    "loss_weights_ignored",
    "metric_definition_differs",
    "optimizer_differs",
    "preprocessing_differs",
    "shuffle_buffer_too_small",
    "shuffle_missing",
    "trainable_flags",
    "validation_split_differs",
    "weighted_mean_normalization",
    "weights_ignored",
}
HANDED_OVER = "the weights of the first model are handed to the other: a note says so"
# Form (or '*') and module -> why the mistake need not be named.
EXCEPTIONS = {
    ("*", "k19341_rebuilt_from_config"): HANDED_OVER,
    ("train_step", "tf38596_mean_of_batch_means"): "fit averages over rows by itself",
    ("train_step", "k18949_use_ema_in_loop"): "fit writes the averaged weights back by itself",
}


@dataclass(frozen=True)
class Expectation:
    """What is right for a module in a form.

    Attributes:
        ids: of the mistakes, in order; none for correct code.
        side: that has them.
        silence: why nothing need be named; nothing where it must.
    """

    ids: tuple[str, ...]
    side: str | None
    silence: str = ""


def expectation(form: str, kind: str, module: str) -> Expectation:
    """What is right for a module of a set in a form."""
    ids, side = expected_of(FOLDERS[kind] / f"{module}.py")
    return Expectation(tuple(ids), side, _silence(form, module, ids, side))


def _silence(form: str, module: str, ids: list[str], side: str | None) -> str:
    why = EXCEPTIONS.get((form, module)) or EXCEPTIONS.get(("*", module), "")
    if why:
        return why
    if form == "fit_alone":
        return "there is no loop to compare"
    if form == "loop_alone" and ids:
        if side != LOOP:
            return "the mistake is in fit, which is left out"
        if set(ids) <= NEEDS_BOTH:
            return "it is a mistake only beside fit, which is left out"
    return ""


@dataclass(frozen=True)
class Answer:
    """What the command said.

    Attributes:
        code: it ended with.
        verdict: of the diagnosis; 'error' where it said why there is none, 'nothing' where it said
            nothing that can be read.
        named: ids, in order.
        sides: of each.
        told: what is left unexplained or open, or the error.
    """

    code: int
    verdict: str
    named: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def answer_of(code: int, said: dict[str, Any]) -> Answer:
    """The answer in what the command printed as JSON."""
    if "error" in said:
        return Answer(code, "error", told=(str(said["error"]),))
    looks = [f"{look['what']}: {look['said']}" for look in said["coverage"] if look["open"]]
    return Answer(
        code,
        said["verdict"],
        tuple(cause["id"] for cause in said["causes"]),
        tuple(cause["side"] for cause in said["causes"]),
        (*said["unexplained"], *looks, *said["failures"]),
    )


def _without(answer: Answer, id_: str) -> Answer:
    """The same with a cause left out that is fair to name."""
    kept = [i for i, name in enumerate(answer.named) if name != id_]
    named = tuple(answer.named[i] for i in kept)
    verdict = "unknown" if answer.named and not named else answer.verdict
    return replace(answer, named=named, sides=tuple(answer.sides[i] for i in kept), verdict=verdict)


def outcome(form: str, expected: Expectation, answer: Answer) -> str:
    """One of `OUTCOMES`."""
    if answer.verdict == "nothing":
        return "failed"
    if form == "loop_alone" and "shuffle_missing" not in expected.ids:
        answer = _without(answer, "shuffle_missing")
    alone = form == "loop_alone" and not expected.ids
    if answer.verdict == "error":
        told = answer.code == MEND and (expected.silence or alone)
        return "refused" if told else "failed"
    if not answer.named:
        if expected.silence or alone or (answer.verdict == "identical" and not expected.ids):
            return "right"
        return "false identical" if answer.verdict == "identical" else "unknown"
    if not expected.ids:
        return "accused"
    beside = set(answer.named) - set(expected.ids)
    if beside or set(answer.sides) != {expected.side}:
        return "wrong name"
    return "right" if answer.named == expected.ids else "in part"
