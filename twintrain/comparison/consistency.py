"""Whether the parts of a comparison.json fit together: the schema says what each is, not that they
are of one comparison.

A file that was edited, or put together of two, would otherwise fail in the middle of its page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twintrain.comparison.comparison import Comparison

LARGEST = 1e15  # of any figure; doubles count in whole numbers up to there
# Fields of the recipe that the page asks for.
_ASKED = (("tuning", "trials"), ("tuning", "apply"), ("comparison", "label_names"))
_TRIAL = ("trial", "val_loss")
_PER_SEED = (
    "scores",
    "history",
    "epochs",
    "best_epoch",
    "train_seconds",
    "images_per_second",
)


def faults_in(comparison: Comparison) -> list[str]:
    """What does not fit, a clause each; empty where all does."""
    checks = (_figures, _seeds, _labels, _splits, _trials, _recipe)
    return [fault for check in checks for fault in check(comparison)]


def _figures(comparison: Comparison) -> Iterator[str]:
    """Figures are finite, and small enough to be drawn."""
    queue: list[tuple[str, Any]] = list(comparison.model_dump(exclude={"recipe"}).items())
    while queue:
        where, value = queue.pop()
        if isinstance(value, dict):
            queue += [(f"{where}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            queue += [(f"{where}.{place}", inner) for place, inner in enumerate(value)]
        elif isinstance(value, int | float) and not abs(value) < LARGEST:  # NaN too
            yield f"{where} is no figure below {LARGEST:g}"


def _seeds(comparison: Comparison) -> Iterator[str]:
    """Everything there is one of per seed is there for each."""
    seeds = comparison.seeds
    if not seeds or not comparison.slices:
        yield "there is no seed or no slice"
        return
    if [agreement.seed for agreement in comparison.parity.seeds] != seeds:
        yield "parity.seeds are of other seeds"
    for part in comparison.slices:
        if [one.seed for one in part.seeds] != seeds:
            yield f"the slice {part.name:.80} is of other seeds"
    for name in ("fit", "loop"):
        twin = comparison.twins.get(name)
        if twin is None:
            yield f"twins.{name} is missing"
        elif any(len(getattr(twin, field)) != len(seeds) for field in _PER_SEED):
            yield f"twins.{name} is of another number of seeds"
        elif len({frozenset(history) for history in twin.history}) > 1:
            yield f"twins.{name}.history has other figures for one seed than for another"


def _labels(comparison: Comparison) -> Iterator[str]:
    """Every label that is spoken of has a name."""
    count = len(comparison.label_names)
    if comparison.confusion is not None:
        matrices = (comparison.confusion.fit, comparison.confusion.loop)
        sizes = {len(matrix) for matrix in matrices}
        sizes |= {len(row) for matrix in matrices for row in matrix}
        if sizes != {count} or not count:
            yield f"confusion is no matrix of the {count} labels"
    for place, one in enumerate(comparison.disagreements):
        if not all(0 <= label < count for label in (one.label, one.fit, one.loop)):
            yield f"disagreements.{place} is about a label without a name"


def _splits(comparison: Comparison) -> Iterator[str]:
    """The data is told per split and label."""
    if "train" not in comparison.data:
        yield "data.train is missing"
    for split, summary in comparison.data.items():
        examples = summary.get("examples") if isinstance(summary, dict) else None
        labels = summary.get("labels") if isinstance(summary, dict) else None
        if not isinstance(examples, int):
            yield f"data.{split} does not say how many examples there are"
        elif not comparison.label_names:
            if labels is not None:
                yield f"data.{split}.labels has labels, and none has a name"
        elif not isinstance(labels, dict):
            yield f"data.{split} does not say which labels there are"
        elif not all(isinstance(number, int) for number in labels.values()):
            yield f"data.{split}.labels are no counts"
        elif not all(
            label.isdecimal() and int(label[:10]) < len(comparison.label_names) for label in labels
        ):
            yield f"data.{split}.labels has a label without a name"


def _trials(comparison: Comparison) -> Iterator[str]:
    """All trials tell the same figures."""
    trials = [trial for twin in comparison.twins.values() for trial in twin.trials]
    if any(set(trial) != set(trials[0]) for trial in trials):
        yield "the trials do not have the same figures"
    for trial in trials:
        if any(key not in trial for key in _TRIAL):
            yield f"a trial lacks one of {', '.join(_TRIAL)}"
        elif not isinstance(trial["val_loss"], int | float | None):
            yield "val_loss of a trial is no figure"
        rate = trial.get("learning_rate", 1.0)
        if not isinstance(rate, int | float) or rate <= 0:
            yield "learning_rate of a trial is no figure above 0"


def _recipe(comparison: Comparison) -> Iterator[str]:
    """The recipe has what the page asks for."""
    for section, field in _ASKED:
        there = comparison.recipe.get(section)
        if not isinstance(there, dict) or field not in there:
            yield f"recipe.{section}.{field} is missing"
