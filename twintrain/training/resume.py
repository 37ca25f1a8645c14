"""The state of a training between two epochs, on disk, so that an interruption costs at most one
epoch.

The file belongs to exactly one (recipe, twin, data, seed): whoever names it puts those into its
    path.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from twintrain.processes.replacing import replacing
from twintrain.training.checkpoints import StopperState
from twintrain.training.distribution import leads


@dataclass
class Progress:
    """What has been done so far.

    Attributes:
        history: figures per epoch, so far.
        fingerprints: per epoch, one per batch.
        epoch_seconds: wall time per epoch.
        stopped: early stopping has ended the training.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    fingerprints: list[list[int]] = field(default_factory=list)
    epoch_seconds: list[float] = field(default_factory=list)
    stopped: bool = False

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.epoch_seconds)

    def add(
        self, logs: dict[str, float], fingerprints: list[int], seconds: float, stopped: bool
    ) -> None:
        """Take in one finished epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.fingerprints.append(fingerprints)
        self.epoch_seconds.append(seconds)
        self.stopped = stopped


def save(
    path: Path | None,
    model: keras.Model,
    optimizer: keras.Optimizer,
    progress: Progress,
    stopper: StopperState,
) -> None:
    """Write everything needed to go on after the epoch just finished; the old file stands until the
    new is whole.
    """
    if path is None:
        return
    arrays: dict[str, Any] = {
        f"variable_{i:05d}": np.asarray(v) for i, v in enumerate(_state(model, optimizer))
    }
    arrays |= {f"best_{i:05d}": weight for i, weight in enumerate(stopper.weights or [])}
    arrays["fingerprints"] = np.asarray(progress.fingerprints, np.int64)
    figures = {
        "history": progress.history,
        "epoch_seconds": progress.epoch_seconds,
        "stopped": progress.stopped,
        "stopper": {k: v for k, v in asdict(stopper).items() if k != "weights"},
    }
    if not leads():
        return  # only now: reading some variables takes all workers
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, meta=np.array(json.dumps(figures)), **arrays)


def load(
    path: Path | None, model: keras.Model, optimizer: keras.Optimizer
) -> tuple[Progress, StopperState]:
    """Put the saved state into model and optimizer; without a file, a fresh start."""
    optimizer.build(model.trainable_variables)
    if path is None or not path.exists():
        return Progress(), StopperState()
    with np.load(path) as saved:
        figures = json.loads(str(saved["meta"]))
        for index, variable in enumerate(_state(model, optimizer)):
            variable.assign(saved[f"variable_{index:05d}"])
        best = [saved[name] for name in sorted(saved.files) if name.startswith("best_")]
        fingerprints = saved["fingerprints"].tolist()
    progress = Progress(
        figures["history"], fingerprints, figures["epoch_seconds"], figures["stopped"]
    )
    return progress, StopperState(**figures["stopper"], weights=best or None)


def _state(model: keras.Model, optimizer: keras.Optimizer) -> list[keras.Variable]:
    # `variables`, not `weights`: the states of dropout's seed generators belong to it.
    return [*model.variables, *optimizer.variables]
