"""The predictions of both twins over all seeds, checked to be about the same examples, and judged
by the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.problems.task import Choices, Task
from twintrain.recipe.recipe import TWINS, Recipe, TwinName
from twintrain.training.seed_record import Predictions, SeedRecord

Folders = Mapping[TwinName, Path]


@dataclass(frozen=True)
class PairedPredictions:
    """What both twins say of the test examples, in canonical order.

    Attributes:
        ids: bytes [examples].
        targets: [examples, *target shape].
        scores: per twin, of each example; their mean is the metric. float64 [seeds, examples].
        choices: per twin and seed, the classes chosen; empty where none are.
        leads: per twin and seed, how far each answer is from tipping over, [examples]; empty where
            none does.
        judge: what the scores are by.
        outputs: per twin and seed; kept where some examples' scores do not tell their metric.
    """

    ids: npt.NDArray[np.bytes_]
    targets: np.ndarray
    scores: dict[TwinName, npt.NDArray[np.float64]]
    choices: dict[TwinName, list[Choices]]
    judge: Task
    leads: dict[TwinName, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    outputs: dict[TwinName, list[npt.NDArray[np.float32]]] = field(default_factory=dict)

    def scores_on(self, mask: npt.NDArray[np.bool_]) -> dict[TwinName, npt.NDArray[np.float64]]:
        """Per twin, scores of some examples, whose mean is the metric on these: float64 [seeds,
        chosen].

        Args:
            mask: which examples, [examples].
        """
        if self.judge.measure.ADDITIVE or mask.all():
            return {twin: rows[:, mask] for twin, rows in self.scores.items()}
        targets = self.targets[mask]
        return {
            twin: np.stack([self.judge.scores(targets, rows[mask]) for rows in self.outputs[twin]])
            for twin in TWINS
        }

    @property
    def right(self) -> dict[TwinName, npt.NDArray[np.bool_]]:
        """Per twin, right or wrong, bool [seeds, examples]."""
        return {twin: scores == 1 for twin, scores in self.scores.items()}

    @property
    def differences(self) -> npt.NDArray[np.float64]:
        """score(loop) - score(fit), [seeds, examples]."""
        return self.scores["loop"] - self.scores["fit"]

    def chosen(self, twin: TwinName) -> npt.NDArray[np.int64]:
        """The class each seed's model chooses, int64 [seeds, examples]."""
        return np.stack([one.chosen for one in self.choices[twin]])

    def confidence(self, twin: TwinName) -> npt.NDArray[np.float32]:
        """The probability given to it, float32 [seeds, examples]."""
        return np.stack([one.confidence for one in self.choices[twin]])


def load_predictions(recipe: Recipe, task: Task, folders: Folders) -> PairedPredictions:
    """Read the records of both twins.

    Args:
        recipe: names the seeds.
        task: judges the outputs.
        folders: per twin, what `train_seeds` has left.

    Raises:
        TwintrainError: a twin is missing or predicts NaN, the records are about different test
            examples, or there is no such metric of them.
    """
    outputs: dict[TwinName, list[npt.NDArray[np.float32]]] = {twin: [] for twin in TWINS}
    scores: dict[TwinName, list[npt.NDArray[np.float64]]] = {twin: [] for twin in TWINS}
    choices: dict[TwinName, list[Choices]] = {twin: [] for twin in TWINS}
    leads: dict[TwinName, list[npt.NDArray[np.float32]]] = {twin: [] for twin in TWINS}
    first: Predictions | None = None
    for seed in recipe.seeds:
        for twin in TWINS:
            record = SeedRecord.read(SeedRecord.place(folders[twin], seed))
            found = _checked(record, first)
            first = first or found
            scores[twin].append(task.scores(found.targets, found.outputs))
            if not task.measure.ADDITIVE:
                outputs[twin].append(found.outputs)
            chosen = task.choices(found.outputs)
            choices[twin] += [chosen] if chosen is not None else []
            lead = task.lead(found.outputs)
            leads[twin] += [lead] if lead is not None else []
    assert first is not None  # a recipe has at least one seed
    stacked = {twin: np.stack(rows) for twin, rows in scores.items()}
    return PairedPredictions(first.ids, first.targets, stacked, choices, task, leads, outputs)


def _checked(record: SeedRecord, first: Predictions | None) -> Predictions:
    """A record's predictions, finite and about the examples of the first one."""
    found, figures = record.predictions, record.figures
    if first is not None and not (
        np.array_equal(first.ids, found.ids) and np.array_equal(first.targets, found.targets)
    ):
        raise TwintrainError(
            f"The record in {record.folder} was made from other test examples than the rest.",
            "Compare results of the same data.",
        )
    if not np.isfinite(found.outputs).all():
        broken = ~np.isfinite(found.outputs)
        rows = int(broken.reshape(len(broken), -1).any(axis=1).sum())
        raise TwintrainError(
            f"The {figures.twin} twin with seed {figures.seed} predicts NaN or infinity for "
            f"{rows:,} of {len(broken):,} examples.",
            "Its training diverged: lower optimizer.learning_rate, or clip gradients "
            "(optimizer.clipnorm).",
        )
    return found
