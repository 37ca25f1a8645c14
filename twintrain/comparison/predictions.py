"""The predictions of both twins over all seeds, checked to be about the same examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.recipe.recipe import TWINS, Recipe


@dataclass(frozen=True)
class Predictions:
    """What both twins say of the test examples, in canonical order.

    Attributes:
        ids: bytes [examples].
        labels: int64 [examples].
        chosen: per twin, the label each seed's model chooses, int64 [seeds, examples].
        confidence: per twin, the probability it gives to that label, float32 [seeds, examples].
        lead: per twin, by how much that is more than what the next label gets, float32 [seeds,
            examples].
    """

    ids: npt.NDArray[np.bytes_]
    labels: npt.NDArray[np.int64]
    chosen: dict[str, npt.NDArray[np.int64]]
    confidence: dict[str, npt.NDArray[np.float32]]
    lead: dict[str, npt.NDArray[np.float32]]

    @property
    def correct(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Per twin, right or wrong, bool [seeds, examples]."""
        return {twin: chosen == self.labels for twin, chosen in self.chosen.items()}

    @property
    def differences(self) -> npt.NDArray[np.int8]:
        """correct(loop) - correct(fit), [seeds, examples]."""
        return self.correct["loop"].astype(np.int8) - self.correct["fit"].astype(np.int8)


def load_predictions(recipe: Recipe, fit: Path, loop: Path) -> Predictions:
    """Read the records of both twins (folders as `twintrain.training.seeds` writes them).

    Raises:
        TwintrainError: a twin is missing or predicts NaN, or the records are about different test
            examples.
    """
    folders = dict(zip(TWINS, (fit, loop), strict=True))
    chosen: dict[str, list[npt.NDArray[np.int64]]] = {twin: [] for twin in TWINS}
    confidence: dict[str, list[npt.NDArray[np.float32]]] = {twin: [] for twin in TWINS}
    lead: dict[str, list[npt.NDArray[np.float32]]] = {twin: [] for twin in TWINS}
    ids: npt.NDArray[np.bytes_] | None = None
    labels = np.empty(0, np.int64)
    for seed in recipe.seeds:
        for twin, folder in folders.items():
            path = folder / f"seed-{seed}" / "predictions.npz"
            if not path.exists():
                raise TwintrainError(
                    f"The {twin} twin left no predictions for seed {seed}.",
                    "Run the pipeline again.",
                )
            with np.load(path) as saved:
                if ids is None:
                    ids, labels = saved["ids"], saved["labels"]
                if not np.array_equal(ids, saved["ids"]) or not np.array_equal(
                    labels, saved["labels"]
                ):
                    raise TwintrainError(
                        f"{path} was made from other test examples than the rest.",
                        "Compare results of the same data.",
                    )
                probabilities = saved["probabilities"]
            if not np.isfinite(probabilities).all():
                bad = int((~np.isfinite(probabilities)).any(axis=1).sum())
                raise TwintrainError(
                    f"The {twin} twin with seed {seed} predicts NaN or infinity for {bad:,} of "
                    f"{len(labels):,} examples.",
                    "Its training diverged: lower optimizer.learning_rate, or clip gradients "
                    "(optimizer.clipnorm).",
                )
            chosen[twin].append(probabilities.argmax(axis=1))
            next_best, best = np.partition(probabilities, -2, axis=1)[:, -2:].T
            confidence[twin].append(best)
            lead[twin].append(best - next_best)
    assert ids is not None  # a recipe has at least one seed
    return Predictions(
        ids,
        labels,
        {twin: np.stack(rows) for twin, rows in chosen.items()},
        {twin: np.stack(rows) for twin, rows in confidence.items()},
        {twin: np.stack(rows) for twin, rows in lead.items()},
    )
