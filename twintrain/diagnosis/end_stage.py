"""Stages 'evaluation' (averaged weights) and 'end of run': how many epochs were trained and which weights kept."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.pair import FIT, LOOP, Pair, Side, largest, shown, trainable_positions
from twintrain.diagnosis.trace import Evaluation, Trace
from twintrain.diagnosis.updates import inner

STAGE = "end of run"
EPOCHS = 24
_PATIENCE = (*range(16), 20)
_DELTA = (0.0, 1e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1)
_MONITORS = ("val_loss", "val_accuracy", "loss")


def check_average(pair: Pair) -> None:
    """Are averaged weights (EMA) written back on both sides?"""
    kept = {side.name: _kept_average(side) for side in pair.sides}
    if None in kept.values():
        return
    pair.ruled_out.add("ema_not_finalized")
    if kept[FIT] != kept[LOOP]:
        guilty = FIT if kept[FIT] == "last" else LOOP
        pair.name_cause(
            "ema_not_finalized",
            guilty,
            "evaluation",
            None,
            shown("weights at the end", "last of the training", "last of the training", "moving average"),
        )


def _kept_average(side: Side) -> str | None:
    """'average' or 'last' by which of the two the kept weights are; None without averaging."""
    applied = next((step.applied for step in reversed(side.steps) if step.applied is not None), None)
    trace = side.trace
    if applied is None or not getattr(inner(applied.optimizer), "use_ema", False) or trace.kept is None:
        return None
    averages = [np.array(v) for v in inner(applied.optimizer)._model_variables_moving_average]
    positions = trainable_positions(side.steps[0].model)
    last = side.steps[-1].after
    if last is None or len(averages) != len(positions) or len(trace.kept) != len(last):
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
        series: per monitor, its values per epoch as this side's own evaluations gave them.
    """

    epochs: int
    kept: int
    series: dict[str, list[float]]


def check_ending(pair: Pair, short: dict[str, Trace], long: dict[str, Trace]) -> None:
    """Compare early stopping and the weights kept, in a training long enough for both to show.

    Args:
        pair: findings go here.
        short: per side, a training of one epoch on little data whose test targets were dealt out anew, so that the
            validation loss soon rises.
        long: the same of `EPOCHS` epochs.
    """
    endings = {name: _ending(pair, short[name], long[name]) for name in (FIT, LOOP)}
    fit, loop = endings[FIT], endings[LOOP]
    if fit is None or loop is None:
        return
    pair.ruled_out |= {"early_stopping_rule", "best_weights_not_restored"}
    if fit.epochs != loop.epochs or EPOCHS not in (fit.epochs, loop.epochs):
        _check_rule(pair, long[FIT], fit, loop)
    if (fit.kept == fit.epochs) != (loop.kept == loop.epochs) and fit.kept and loop.kept:
        guilty = FIT if fit.kept == fit.epochs else LOOP
        bad, good = (fit, loop) if guilty == FIT else (loop, fit)
        if _best_is_last(bad):
            return
        observed = f"of epoch {bad.kept} of {bad.epochs}"
        pair.name_cause(
            "best_weights_not_restored",
            guilty,
            STAGE,
            None,
            shown(
                "weights kept", observed, f"of the last epoch, {bad.epochs}", f"of epoch {good.kept} of {good.epochs}"
            ),
        )


def _best_is_last(ending: Ending) -> bool:
    losses = ending.series.get("val_loss") or ending.series.get("loss") or [0.0]
    return int(np.argmin(losses)) == len(losses) - 1


def _ending(pair: Pair, short: Trace, long: Trace) -> Ending | None:
    per_epoch = len(short.steps)
    if not per_epoch or not long.complete or not long.steps:
        return None
    epochs = round(len(long.steps) / per_epoch)
    kept = 0
    for epoch in range(1, epochs + 1):
        after = long.steps[min(epoch * per_epoch, len(long.steps)) - 1].after
        if (
            after is not None
            and long.kept is not None
            and (largest(after, long.kept) or 0.0) < 1e-7
            and len(after) == len(long.kept)
        ):
            kept = epoch
    return Ending(epochs, kept, _series(pair, long, per_epoch, epochs))


def _series(pair: Pair, trace: Trace, per_epoch: int, epochs: int) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {name: [] for name in _MONITORS}
    for epoch in range(1, epochs + 1):
        block = [e for e in trace.evaluations if e.position == epoch * per_epoch]
        losses, hits, sizes = [], [], []
        for evaluation in block:
            loss, accuracy = _figures(pair, evaluation)
            losses.append(loss)
            hits.append(accuracy)
            sizes.append(evaluation.size)
        if block:
            series["val_loss"].append(float(np.average(losses, weights=sizes)))
            series["val_accuracy"].append(float(np.average(hits, weights=sizes)))
        steps = trace.steps[(epoch - 1) * per_epoch : epoch * per_epoch]
        series["loss"].append(float(np.average([s.target or 0.0 for s in steps], weights=[s.size for s in steps])))
    return {name: values for name, values in series.items() if len(values) == epochs}


def _figures(pair: Pair, evaluation: Evaluation) -> tuple[float, float]:
    """Loss and accuracy of one evaluated batch by the targets that were pulled with it."""
    element = evaluation.element
    y = element[1] if isinstance(element, tuple) and len(element) > 1 else None
    if y is None or len(keras.tree.flatten(y)) != 1 or len(keras.tree.flatten(evaluation.outputs)) != 1:
        return float("nan"), float("nan")
    p, labels = np.asarray(keras.tree.flatten(evaluation.outputs)[0], np.float64), np.asarray(y)
    if len(labels) != len(p):
        return float("nan"), float("nan")
    if p.shape[-1] == 1:
        loss = (
            pair.spec(y, evaluation.outputs)
            if pair.spec
            else float(np.square(labels.reshape(-1) - p.reshape(-1)).mean())
        )
        return loss, float(((p.reshape(-1) > 0.5) == (labels.reshape(-1) > 0.5)).mean())
    if labels.shape == p.shape:
        labels = labels.argmax(-1)
    accuracy = float((labels.reshape(p.shape[:-1]) == p.argmax(-1)).mean())
    return (pair.spec(y, evaluation.outputs) if pair.spec else float("nan")), accuracy


def _check_rule(pair: Pair, trace: Trace, fit: Ending, loop: Ending) -> None:
    """Does fit's rule, applied to the loop's own figures, stop where the loop stopped?"""
    callback = _callback(trace)
    if callback is None:
        if fit.epochs == loop.epochs:
            return
        rule = _rule(loop if fit.epochs == EPOCHS else fit)
        if rule is None:
            pair.unexplained.append(
                f"fit trains {fit.epochs} epochs, the loop {loop.epochs}, and no rule that was tried gives that"
            )
            return
        pair.name_cause(
            "early_stopping_rule", LOOP, STAGE, None, shown("epochs trained", loop.epochs, rule, fit.epochs)
        )
        return
    wanted = stop_epoch(
        loop.series.get(str(callback.monitor), []),
        callback.patience,
        abs(float(callback.min_delta)),
        _maximise(callback),
        EPOCHS,
    )
    if callback.monitor not in loop.series:
        wanted = fit.epochs
    if wanted == loop.epochs:
        return
    rule = _rule(loop) or ("no early stopping" if loop.epochs == EPOCHS else None)
    right = f"{wanted} (monitor {callback.monitor}, patience {callback.patience}, min_delta {abs(float(callback.min_delta)):g})"
    if rule is None:
        pair.unexplained.append(
            f"the loop stops after {loop.epochs} epochs, where fit's rule stops after {wanted}, and no rule that was tried gives that"
        )
        return
    pair.name_cause(
        "early_stopping_rule", LOOP, STAGE, None, shown("epochs trained", loop.epochs, f"{loop.epochs} ({rule})", right)
    )


def _callback(trace: Trace) -> Any:
    for call in trace.fits:
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
    """The first rule that stops a side where it stopped, on its own figures; smallest patience first."""
    if ending.epochs == EPOCHS:
        return "no early stopping"
    for delta, monitor, patience in itertools.product(_DELTA, _MONITORS, _PATIENCE):
        for maximise in (monitor.endswith("accuracy"), not monitor.endswith("accuracy")):
            values = ending.series.get(monitor)
            # A series ends where the training stopped, so a rule that would go on beyond it does not fit.
            if values and stop_epoch(values, patience, delta, maximise, EPOCHS) == ending.epochs:
                mode = "max" if maximise else "min"
                return f"monitor {monitor}, mode {mode}, patience {patience}, min_delta {delta:g}"
    return None


def stop_epoch(values: list[float], patience: int, min_delta: float, maximise: bool, most: int) -> int:
    """After how many epochs Keras's EarlyStopping stops on these figures; `most` if it does not."""
    best, wait = float("-inf") if maximise else float("inf"), 0
    for epoch, value in enumerate(values, start=1):
        better = value - min_delta > best if maximise else value + min_delta < best
        if better:
            best, wait = value, 0
            continue
        wait += 1
        if wait >= patience and epoch > 1:
            return epoch
    return most
