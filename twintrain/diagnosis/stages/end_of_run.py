"""Stages 'evaluation' (averaged weights) and 'end of run': how many epochs were trained and which
weights kept.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.losses import Batch, Declared, LossPractice, mean_loss
from twintrain.diagnosis.replay.updates import inner
from twintrain.diagnosis.stages.findings import (
    FIT,
    LOOP,
    Pair,
    Side,
    largest,
    shown,
    trainable_positions,
)
from twintrain.diagnosis.stages.forward import call_model, weights_of
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import value_of

STAGE = "end of run"
EPOCHS = 24
_PATIENCE = (*range(16), 20)
_DELTA = (0.0, 1e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1)
_MONITORS = ("val_loss", "val_accuracy")


def check_average(pair: Pair) -> None:
    """Are averaged weights (EMA) written back on both sides?"""
    kept = {side.name: _kept_average(side) for side in pair.sides}
    if None in kept.values():
        return
    pair.ruled_out.add("ema_not_finalized")
    if kept[FIT] != kept[LOOP]:
        at_fault = FIT if kept[FIT] == "last" else LOOP
        last, average = "last of the training", "moving average"
        pair.name_cause(
            "ema_not_finalized",
            at_fault,
            "evaluation",
            None,
            shown("weights at the end", last, last, average),
        )


def _kept_average(side: Side) -> str | None:
    """'average' or 'last' by which of the two the kept weights are; None without averaging."""
    applied = next(
        (step.applied for step in reversed(side.steps) if step.applied is not None), None
    )
    trace = side.trace
    if (
        applied is None
        or not getattr(inner(applied.optimizer), "use_ema", False)
        or trace.kept is None
    ):
        return None
    averages = [value_of(v) for v in inner(applied.optimizer)._model_variables_moving_average]
    positions = trainable_positions(side.steps[0].model)
    last = applied.after
    if not last or len(averages) != len(positions) or len(trace.kept) != len(last):
        return None
    kept = [trace.kept[p] for p in positions]
    to_average, to_last = largest(kept, averages), largest(kept, [last[p] for p in positions])
    if to_average is None or to_last is None or max(to_average, to_last) < 1e-6:
        return None
    return "average" if to_average < to_last else "last"


@dataclass
class Ending:
    """How a side ends a longer training.

    Attributes:
        epochs: trained.
        kept: the epoch (from 1) whose weights it ended with; 0 when none of them.
        series: per monitor, its value on the test rows after each epoch.
    """

    epochs: int
    kept: int
    series: dict[str, list[float]]


def read_ending(run: Milestones, test: Rows | None, declared: Declared | None) -> Ending | None:
    """Read a longer training; None when its epochs could not be told apart."""
    if run.epochs < 2:
        return None
    positions = trainable_positions(run.model)
    kept = 0
    for epoch, state in enumerate(run.states[1:], start=1):
        if len(run.kept) == len(state) and all(
            np.array_equal(run.kept[p], state[p]) for p in positions
        ):
            kept = epoch
    series: dict[str, list[float]] = {name: [] for name in _MONITORS}
    if test is not None and declared is not None:
        for state in run.states[1:]:
            for name, value in zip(
                _MONITORS, _judge(run.model, state, test, declared), strict=True
            ):
                series[name].append(value)
    return Ending(
        run.epochs, kept, {name: s for name, s in series.items() if s and np.isfinite(s).all()}
    )


def _judge(
    model: keras.Model, state: list[np.ndarray], test: Rows, declared: Declared
) -> tuple[float, float]:
    """Loss (with regularization) and accuracy of a state on the test rows."""
    y = test.part(1)
    with weights_of(model, state):
        outputs = call_model(
            model, keras.tree.map_structure(keras.ops.convert_to_tensor, test.part(0)), False
        )
        added = float(sum(float(loss) for loss in model.losses))
    found = mean_loss(
        declared, LossPractice(weighting="none"), Batch(y, outputs, None, 0.0, len(test))
    )
    loss = float(found[0]) + added if found is not None else float("nan")
    flat = keras.tree.flatten(outputs)
    if len(flat) != 1 or len(keras.tree.flatten(y)) != 1:
        return loss, float("nan")
    p, labels = np.asarray(keras.ops.cast(flat[0], "float32")), np.asarray(y)
    if p.shape[-1] == 1:
        return loss, float(((p.reshape(-1) > 0.5) == (labels.reshape(-1) > 0.5)).mean())
    labels = labels.argmax(-1) if labels.shape == p.shape else labels.reshape(p.shape[:-1])
    return loss, float((labels == p.argmax(-1)).mean())


def check_ending(
    pair: Pair, runs: dict[str, Milestones], test: Rows | None, declared: Declared | None
) -> None:
    """Compare early stopping and the weights kept, in a training long enough for both to show.

    Args:
        pair: findings go here.
        runs: per side, a training of `EPOCHS` epochs.
        test: what it evaluated on; its targets were dealt out anew, so that the validation loss
            soon rises.
        declared: the loss.
    """
    fit, loop = (read_ending(runs[name], test, declared) for name in (FIT, LOOP))
    if fit is None or loop is None:
        return
    pair.ruled_out |= {"early_stopping_rule", "best_weights_not_restored"}
    callback = _callback(pair.fit)
    if callback is not None or fit.epochs != loop.epochs:
        _check_rule(pair, callback, fit, loop)
    if (fit.kept == fit.epochs) == (loop.kept == loop.epochs) or not fit.kept or not loop.kept:
        return
    at_fault = FIT if fit.kept == fit.epochs else LOOP
    bad, good = (fit, loop) if at_fault == FIT else (loop, fit)
    if not _best_is_last(bad):
        pair.name_cause(
            "best_weights_not_restored",
            at_fault,
            STAGE,
            None,
            shown(
                "weights kept",
                f"of epoch {bad.kept} of {bad.epochs}",
                f"of the last epoch, {bad.epochs}",
                f"of epoch {good.kept} of {good.epochs}",
            ),
        )


def _best_is_last(ending: Ending) -> bool:
    losses = ending.series.get("val_loss")
    return losses is not None and int(np.argmin(losses)) == len(losses) - 1


def _check_rule(pair: Pair, callback: Any, fit: Ending, loop: Ending) -> None:
    """Does fit's rule, applied to the loop's own figures, stop where the loop stopped?"""
    wanted = fit.epochs
    right = f"{wanted} ({_rule(fit) or 'by a rule of its own'})"
    if callback is not None:
        right = f"{wanted} (monitor {callback.monitor}, patience {callback.patience}, min_delta {abs(float(callback.min_delta)):g})"
        if _stops(callback, fit) == fit.epochs and (replayed := _stops(callback, loop)) is not None:
            wanted = replayed
    if wanted == loop.epochs:
        return
    rule = _rule(loop)
    if rule is None:
        pair.unexplained.append(
            f"the loop trains {loop.epochs} epochs, where fit's rule gives {wanted}, and no rule "
            "that was tried gives that"
        )
        return
    pair.name_cause(
        "early_stopping_rule",
        LOOP,
        STAGE,
        None,
        shown("epochs trained", loop.epochs, f"{loop.epochs} ({rule})", right),
    )


def _stops(callback: Any, ending: Ending) -> int | None:
    """Where fit's callback stops on a side's figures; None where they do not reach as far, or are
    not known.
    """
    values = ending.series.get(str(callback.monitor))
    if not values:
        return None
    found = stop_epoch(
        values, callback.patience, abs(float(callback.min_delta)), _maximise(callback)
    )
    if found is None and len(values) < EPOCHS:
        return EPOCHS  # it would have gone on
    return found or EPOCHS


def _callback(side: Side) -> Any:
    for call in side.trace.fits:
        found = call.arguments.get("callbacks") or []
        for callback in found if isinstance(found, (list, tuple)) else [found]:
            if isinstance(callback, keras.callbacks.EarlyStopping):
                return callback
    return None


def _maximise(callback: Any) -> bool:
    if callback.mode in ("min", "max"):
        return bool(callback.mode == "max")
    return str(callback.monitor).endswith(("acc", "accuracy", "auc"))


def _rule(ending: Ending) -> str | None:
    """The first rule that stops a side where it stopped, on its own figures."""
    if ending.epochs == EPOCHS:
        return "no early stopping"
    for delta, monitor, patience in itertools.product(_DELTA, _MONITORS, _PATIENCE):
        for maximise in (monitor.endswith("accuracy"), not monitor.endswith("accuracy")):
            values = ending.series.get(monitor)
            if values and stop_epoch(values, patience, delta, maximise) == ending.epochs:
                return f"monitor {monitor}, mode {'max' if maximise else 'min'}, patience {patience}, min_delta {delta:g}"
    return None


def stop_epoch(values: list[float], patience: int, min_delta: float, maximise: bool) -> int | None:
    """After how many epochs Keras's EarlyStopping stops on these figures; None if it does not."""
    best, wait = float("-inf") if maximise else float("inf"), 0
    for epoch, value in enumerate(values, start=1):
        if value - min_delta > best if maximise else value + min_delta < best:
            best, wait = value, 0
            continue
        wait += 1
        if wait >= patience and epoch > 1:
            return epoch
    return None
