"""Replays the end of a longer training: when a rule of early stopping would have stopped it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import trainable_positions
from twintrain.diagnosis.replay.declared_losses import Declared
from twintrain.diagnosis.replay.definitions import Answers, Definition
from twintrain.diagnosis.replay.losses import Batch, LossPractice, mean_loss
from twintrain.diagnosis.replay.model_calls import call_model, weights_of
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import Arrays

# Epochs of the longer training.
EPOCHS = 24
# Rules that are tried: what people use.
PATIENCE = (*range(16), 20)
MIN_DELTA = (0.0, 1e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1)
MONITORS = ("val_loss", "val_accuracy")
# Ends of names of figures of which Keras takes more for better.
_MORE_IS_BETTER = ("acc", "accuracy", "auc")
# How loops count epochs without improvement by mistake, in words.
ALL_OF_THEM = "all of them, not those in a row"
AGAINST_THE_LAST = "against the epoch before, not the best one"

# Per monitor, its value after each epoch.
Series = dict[str, list[float]]


@dataclass
class Ending:
    """How a side ends a longer training.

    Attributes:
        epochs: trained.
        kept: the epoch (from 1) whose weights it ended with; 0 when none of them.
        asked: epochs it was asked for.
        judged: gives `series`. It is asked only where they decide something: computing them takes
            as long as the training did.
        judged_on_own: gives `own_series`.
    """

    epochs: int
    kept: int
    judged: Callable[[], Series]
    asked: int = EPOCHS
    judged_on_own: Callable[[], Series] = dict

    @cached_property
    def series(self) -> Series:
        """Per monitor, its value on the test rows after each epoch."""
        return self.judged()

    @cached_property
    def own_series(self) -> Series:
        """The same on the rows that the side may have evaluated on instead; empty where it cannot
        have.
        """
        return self.judged_on_own()

    @property
    def keeps_last(self) -> bool:
        """Whether it ended with the weights of its last epoch."""
        return self.kept == self.epochs

    @property
    def may_differ(self) -> bool:
        """Whether the side may have evaluated on other rows than it was given."""
        return bool(self.own_series)


def best_is_last(series: Series) -> bool | None:
    """Whether the validation loss was best in the last epoch, whose weights are the best then; None
    where it is not known.
    """
    losses = series.get("val_loss")
    return int(np.argmin(losses)) == len(losses) - 1 if losses else None


def read_ending(
    run: Milestones,
    test: Rows | None,
    declared: Declared | None,
    own: Callable[[], Rows | None] = lambda: None,
    form: str = "as declared",
    metrics: Mapping[str, Definition] | None = None,
) -> Ending | None:
    """Read a longer training; None when its epochs could not be told apart.

    Args:
        run: the training.
        test: rows it was given to evaluate on.
        declared: its loss; without rows and loss there are no series.
        own: reads rows that it may have evaluated on instead; asked only where they decide
            something, as it may run code of the user's.
        form: how the loss takes the outputs of its model; see `LossPractice`.
        metrics: what else there are series of, by name. Only of a model with one output.
    """
    if run.epochs < 2:
        return None

    def judged(rows: Rows | None) -> Series:
        if rows is None or declared is None:
            return {}
        judge = _Judge(run.model, rows, declared, form, metrics or {})
        found = [judge.figures(state) for state in run.states[1:]]
        series = {name: [figures[name] for figures in found] for name in found[0]}
        return {name: values for name, values in series.items() if np.isfinite(values).all()}

    return Ending(
        run.epochs,
        _kept_epoch(run),
        lambda: judged(test),
        run.asked or EPOCHS,
        lambda: judged(own()),
    )


def _kept_epoch(run: Milestones) -> int:
    """The last epoch (from 1) after which the trainable weights were those that were kept."""
    positions = trainable_positions(run.model)
    kept = 0
    for epoch, state in enumerate(run.states[1:], start=1):
        if len(run.kept) == len(state) and all(
            np.array_equal(run.kept[p], state[p]) for p in positions
        ):
            kept = epoch
    return kept


@dataclass(frozen=True)
class _Judge:
    """Measures states of a model on rows; see `read_ending`."""

    model: keras.Model
    rows: Rows
    declared: Declared
    form: str
    metrics: Mapping[str, Definition]

    def figures(self, state: Arrays) -> dict[str, float]:
        """Loss (with regularization), accuracy and the other figures of a state, or else NaN."""
        with weights_of(self.model, state):
            # Batch by batch: a model may take no other number of rows.
            batches = [
                call_model(self.model, batch[0] if isinstance(batch, tuple) else batch, False)
                for batch in self.rows.dataset()
            ]
            added = float(sum(float(loss) for loss in self.model.losses))
        outputs = keras.tree.map_structure(lambda *parts: keras.ops.concatenate(parts), *batches)
        y = self.rows.part(1)
        batch = Batch(y, outputs, None, 0.0, len(self.rows))
        practice = LossPractice(form=self.form, weighted=False)
        found = mean_loss(self.declared, practice, batch)
        loss = float("nan") if found is None else float(found[0]) + added
        return {"val_loss": loss} | self._of_outputs(keras.tree.flatten(outputs), y)

    def _of_outputs(self, outputs: list[Any], y: Any) -> dict[str, float]:
        labels = keras.tree.flatten(y)
        if len(outputs) != 1 or len(labels) != 1:
            return dict.fromkeys(("val_accuracy", *self.metrics), float("nan"))
        p = np.asarray(keras.ops.cast(outputs[0], "float32"))
        cut = 0.0 if self.form == "logits" else 0.5
        found = {"val_accuracy": _accuracy(np.asarray(y), p, cut)}
        for name, metric in self.metrics.items():
            found[name] = _measured(metric, Answers(np.asarray(labels[0]), p))
        return found


def _measured(metric: Definition, answers: Answers) -> float:
    """What a metric makes of all rows at once; NaN where it cannot."""
    try:
        return float(metric.finish(metric.sums(answers)))
    except Exception:  # a class of the user's own may raise anything
        return float("nan")


def _accuracy(labels: np.ndarray, p: np.ndarray, cut: float) -> float:
    if p.shape[-1] == 1:
        return float(((p.reshape(-1) > cut) == (labels.reshape(-1) > 0.5)).mean())
    labels = labels.argmax(-1) if labels.shape == p.shape else labels.reshape(p.shape[:-1])
    return float((labels == p.argmax(-1)).mean())


def rule_of(ending: Ending, asked: keras.callbacks.EarlyStopping | None = None) -> str | None:
    """The first rule that stops a side where it stopped, on its own figures, in words.

    Args:
        ending: of the side.
        asked: what `fit` was given; the same rule is tried with its epochs miscounted.
    """
    if ending.epochs == ending.asked:
        return "no early stopping"
    figures = [_first(series, asked) for series in (ending.series, ending.own_series)]
    found = [_miscounted(series, ending.epochs, asked) for series in figures if asked is not None]
    found += [_rule_on(series, ending.epochs, False) for series in figures]
    found += [_rule_on(series, ending.epochs, True) for series in figures]
    return next((rule for rule in found if rule is not None), None)


def _first(series: Series, asked: keras.callbacks.EarlyStopping | None) -> Series:
    """The series with that which `fit` goes by before the others: of two rules that explain a stop,
    that one says more.
    """
    name = "" if asked is None else str(asked.monitor)
    return {name: series[name]} | series if name in series else series


def _rule_on(series: Series, epochs: int, turned: bool) -> str | None:
    """The first rule that stops after as many epochs on these figures; `turned` takes less for
    better where more is, and the other way round.
    """
    for delta, monitor, patience in itertools.product(MIN_DELTA, series, PATIENCE):
        maximise = monitor.endswith(_MORE_IS_BETTER) != turned
        if stop_epoch(series[monitor], patience, delta, maximise) == epochs:
            return _said(monitor, maximise, patience, delta)
    return None


def _miscounted(series: Series, epochs: int, asked: keras.callbacks.EarlyStopping) -> str | None:
    """The rule that `fit` was given, where it stops after as many epochs by counting otherwise."""
    monitor, delta = str(asked.monitor), abs(float(asked.min_delta))
    values, maximise = series.get(monitor, []), maximises(asked)
    for counting in (ALL_OF_THEM, AGAINST_THE_LAST):
        if stop_epoch(values, asked.patience, delta, maximise, counting) == epochs:
            return f"{_said(monitor, maximise, asked.patience, delta)}, counting {counting}"
    return None


def _said(monitor: str, maximise: bool, patience: int, delta: float) -> str:
    mode = "max" if maximise else "min"
    return f"monitor {monitor}, mode {mode}, patience {patience}, min_delta {delta:g}"


def stop_epoch(
    values: list[float], patience: int, min_delta: float, maximise: bool, counting: str = ""
) -> int | None:
    """After how many epochs Keras's EarlyStopping stops on these figures; None if it does not.

    Args:
        values: the monitored figure, one per epoch.
        patience: epochs without improvement that are borne.
        min_delta: smallest change that counts as an improvement, not negative.
        maximise: whether more is better.
        counting: `ALL_OF_THEM` or `AGAINST_THE_LAST`; '' as Keras counts.
    """
    best = float("-inf") if maximise else float("inf")
    wait = 0
    for epoch, value in enumerate(values, start=1):
        improved = value - min_delta > best if maximise else value + min_delta < best
        if improved or counting == AGAINST_THE_LAST:
            best = value
        if improved:
            wait = wait if counting == ALL_OF_THEM else 0
            continue
        wait += 1
        if wait >= patience and epoch > 1:
            return epoch
    return None


def maximises(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback that monitors a figure takes more for better, as Keras decides it."""
    chosen = getattr(callback, "monitor_op", None)
    if chosen is not None:  # once `fit` has run: by the metric's own direction
        return bool(chosen is keras.ops.greater)
    if callback.mode in ("min", "max"):
        return bool(callback.mode == "max")
    return str(callback.monitor).endswith(_MORE_IS_BETTER)


def stopped_by(callback: keras.callbacks.EarlyStopping, values: list[float]) -> int | None:
    """After how many epochs a callback's rule, as Keras has it, stops on these figures; None if it
    does not. What a class of the user's own makes of that rule is not asked.

    Args:
        callback: it is left as it is.
        values: the monitored figure, one per epoch.
    """
    rule = keras.callbacks.EarlyStopping(
        monitor=callback.monitor,
        min_delta=abs(float(callback.min_delta)),
        patience=callback.patience,
        mode="max" if maximises(callback) else "min",
        baseline=callback.baseline,
        start_from_epoch=callback.start_from_epoch,
    )
    training = SimpleNamespace(stop_training=False)
    rule.set_model(training)
    rule.on_train_begin()
    for epoch, value in enumerate(values):
        rule.on_epoch_end(epoch, {callback.monitor: value})
        if training.stop_training:
            return epoch + 1
    return None
