"""The state of a training between two epochs, on disk, so that an interruption costs at most one
epoch, and a damaged file at most two.

The file belongs to exactly one (recipe, twin, data, seed): whoever names it puts those into its
path.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from twintrain.processes.progress import report_progress
from twintrain.training import kept_arrays
from twintrain.training.checkpoints import StopperState
from twintrain.training.distribution import leads
from twintrain.training.kept_arrays import DamagedError
from twintrain.training.phases import frozen_state

_VARIABLE, _BEST = "variable_", "best_"


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
    """Write everything needed to go on after the epoch just finished; the epoch before it is kept
    too.

    Raises:
        OSError: it cannot be brought to the disk; what was there stands.
    """
    if path is None:
        return
    arrays: dict[str, Any] = {
        f"{_VARIABLE}{i:05d}": np.asarray(v) for i, v in enumerate(_state(model, optimizer))
    }
    arrays |= {f"{_BEST}{i:05d}": weight for i, weight in enumerate(stopper.weights or [])}
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
    kept_arrays.write(path, {"meta": np.array(json.dumps(figures)), **arrays})


def load(
    path: Path | None,
    model: keras.Model,
    optimizer: keras.Optimizer,
    otherwise: str = "starts anew",
) -> tuple[Progress, StopperState]:
    """Put the saved state into model and optimizer; without a file, a fresh start.

    A file that is damaged is put aside with a warning, and the one of the epoch before it is taken;
    where that is damaged too, or not there, the training starts anew.

    Args:
        path: of the file; None where there is none.
        model: takes the variables.
        optimizer: takes its own.
        otherwise: what the training does where all files are damaged, for the warning.

    Raises:
        TwintrainError: a file may not be read, or not be put aside.
    """
    optimizer.build(model.trainable_variables)
    if path is None:
        return Progress(), StopperState()
    faults = []
    for generation in kept_arrays.generations(path):
        try:
            saved = _read(generation, _state(model, optimizer))
        except FileNotFoundError:
            continue
        except DamagedError as error:
            aside = kept_arrays.put_aside(generation, path)
            faults.append(f"{generation} is damaged ({error}) and was moved to {aside}.")
            continue
        for variable, value in zip(_state(model, optimizer), saved.values, strict=True):
            variable.assign(value)
        _warn(faults, f"goes on after epoch {saved.progress.epochs}")
        return saved.progress, saved.stopper
    _warn(faults, otherwise)
    return Progress(), StopperState()


def forget(path: Path) -> None:
    """Delete the state of a training whose results are safe."""
    kept_arrays.forget(path)
    kept_arrays.forget(frozen_state(path))


@dataclass(frozen=True)
class _Saved:
    """What a file holds: values of variables, in the order of `_state`, and how far it was."""

    values: list[np.ndarray]
    progress: Progress
    stopper: StopperState


def _read(path: Path, variables: list[keras.Variable]) -> _Saved:
    """A saved state, read in full before anything of it is used."""
    arrays = kept_arrays.read(path)
    values = _numbered(arrays, _VARIABLE)
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise DamagedError("it is of a model or an optimizer with other variables")
    try:
        figures = json.loads(str(arrays["meta"]))
        progress = Progress(
            figures["history"],
            arrays["fingerprints"].tolist(),
            figures["epoch_seconds"],
            figures["stopped"],
        )
        best = _numbered(arrays, _BEST)
        return _Saved(values, progress, StopperState(**figures["stopper"], weights=best or None))
    except (KeyError, TypeError, ValueError) as error:  # written by another version
        raise DamagedError(f"it lacks what is needed to go on: {error}") from error


def _numbered(arrays: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(prefix)]


def _warn(faults: list[str], going_on: str) -> None:
    if faults and leads():
        text = f"{' '.join(faults)} The training {going_on}."
        warnings.warn(text, RuntimeWarning, stacklevel=3)
        report_progress("note", text=text)


def _state(model: keras.Model, optimizer: keras.Optimizer) -> list[keras.Variable]:
    # `variables`, not `weights`: the states of dropout's seed generators belong to it.
    return [*model.variables, *optimizer.variables]
