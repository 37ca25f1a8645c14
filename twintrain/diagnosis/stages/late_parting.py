"""Stage 'update', in epochs that were run but not watched step by step: why the sides part late.

Before the epoch they part in their weights were equal. What is read here is what one of them
changed for this epoch and the other did not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.replay.compare import each_close, weight_positions
from twintrain.diagnosis.replay.early_stopping import Ending, maximises, read_ending
from twintrain.diagnosis.replay.losses import LossPractice
from twintrain.diagnosis.replay.parting import Parting
from twintrain.diagnosis.replay.tolerances import LEARNING_RATE, RATE_VARIES
from twintrain.diagnosis.stages.findings import by_reading, say
from twintrain.diagnosis.stages.fit_callbacks import callbacks_of, monitored
from twintrain.diagnosis.stages.loss_heads import form_of_figures
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.diagnosis.watch.weight_order import counted_weights

Rates = list[tuple[float, ...]]
# Epochs whose steps are watched: what differs there is told by these.
_WATCHED = 2
_MOST_NAMED = 3


@dataclass(frozen=True)
class LateRuns:
    """Longer runs of both sides that part.

    Attributes:
        runs: per side.
        apart: where their weights part.
        test: what they were given to evaluate on.
        shortened: they trained on less data than there is: what counts steps comes late, or never.
    """

    runs: dict[str, Milestones]
    apart: Parting
    test: Rows | None
    shortened: bool

    @property
    def place(self) -> int:
        """Of the state the epoch begins with in which they part."""
        return self.apart.epoch - 1


@looks_for("learning_rate_schedule", "trainable_flags")
def check_late_parting(pair: Pair, late: LateRuns) -> bool:
    """Name the learning rate, or the variables that move, where they are what the sides part by:
    the same in every epoch before, and other ones in this one.

    Args:
        pair: findings go here; nothing that changes the training was found in the watched epochs.
        late: where they part.
    """
    states = min(len(run.states) for run in late.runs.values())
    if late.apart.epoch <= _WATCHED or states <= late.apart.epoch:
        return False
    fit, loop = late.runs[FIT].rates, late.runs[LOOP].rates
    if _rates_part(fit, loop, late.place):
        if _is_cause(pair, late):
            _name_rates(pair, late)
        else:
            pair.findings.unexplained.append(
                f"in epoch {late.apart.epoch} the learning rate is {_said(fit[late.place])} in "
                f"keras_fit and {_said(loop[late.place])} in custom_loop"
            )
    elif not _compare_schedules(pair, late) and _alike(fit[late.place], loop[late.place]):
        _compare_moved(pair, late)
    return True


def _compare_schedules(pair: Pair, late: LateRuns) -> bool:
    """Name schedules over steps whose first other rate is in this epoch; whether they are named. On
    less data than there is, numbers of steps are others.
    """
    fit, loop = late.runs[FIT], late.runs[LOOP]
    if late.shortened or fit.schedule is None or loop.schedule is None:
        return False
    if not fit.updates or fit.updates != loop.updates or fit.updates % loop.epochs:
        return False
    in_epoch = fit.updates // loop.epochs
    first = late.place * in_epoch
    for step in range(first - 1, first + in_epoch):
        rates = _rates_at(step, fit.schedule, loop.schedule)
        if rates is None:
            return False
        right, observed = rates
        if not each_close(observed, right, LEARNING_RATE):
            break
    else:
        return False
    if step < first:
        return False  # they would have parted before
    pair.findings.name_cause(
        "learning_rate_schedule",
        LOOP,
        None,
        by_reading(f"learning rate of update {step + 1:,} of {fit.updates:,}", observed, right),
        fix=f"Give the schedule keras_fit's boundaries: they part at update {step + 1:,}, in epoch "
        f"{late.apart.epoch}. An epoch has {in_epoch:,} updates, its last batch, "
        "however small, among them.",
    )
    return True


def _rates_at(step: int, *schedules: Callable[[Any], Any]) -> list[float] | None:
    """What schedules say of a step; None where one raises, which may be the user's own."""
    try:
        return [float(schedule(tf.constant(step, tf.int64))) for schedule in schedules]
    except Exception:
        return None


def _rates_part(fit: Rates, loop: Rates, place: int) -> bool:
    """Whether the rates are those of the same optimizers, alike in the epochs before this one and
    other ones in it; and none may be the other's, looked at too early.
    """
    sizes = {len(rates[k]) for rates in (fit, loop) for k in (place, place + 1)}
    if len(sizes) > 1 or 0 in sizes or _alike(fit[place], loop[place]):
        return False  # an optimizer was made anew, or is not known
    before = all(_alike(fit[k], loop[k]) for k in range(1, place))
    return before and not _looked_at_too_early(fit, loop, place)


def _looked_at_too_early(fit: Rates, loop: Rates, place: int) -> bool:
    """Whether the loop's rates may be `fit`'s, one epoch late: in this epoch and in the next."""
    pairs = list(zip(fit[place:], loop[place + 1 :], strict=False))[:2]
    return all(_alike(one, other) for one, other in pairs)


def _is_cause(pair: Pair, late: LateRuns) -> bool:
    """Whether the other rate is a mistake, and not one that other figures or less data make."""
    varies = {side: _varies(run.rates) for side, run in late.runs.items()}
    by_steps = any(run.scheduled for run in late.runs.values()) or not all(varies.values())
    if late.shortened and by_steps:
        return False
    callbacks = callbacks_of(pair.fit)
    if any(not type(callback).__module__.startswith("keras.") for callback in callbacks):
        return False
    plateaus = [one for one in callbacks if isinstance(one, keras.callbacks.ReduceLROnPlateau)]
    return all(_is_other_rule(pair, late, plateau) for plateau in plateaus)


def _is_other_rule(pair: Pair, late: LateRuns, plateau: keras.callbacks.ReduceLROnPlateau) -> bool:
    """Whether `fit`'s rule gives other rates than the loop's on all figures the loop may go by, and
    fit's own on its own.
    """
    reading = pair.losses.get(FIT)
    declared = None if reading is None else reading.declared
    metrics, form = monitored(pair.fit), form_of_figures(pair)
    fit = read_ending(late.runs[FIT], late.test, declared, metrics=metrics)
    if form is None:
        return False
    # A metric of probabilities is none of logits.
    shared = metrics if form == LossPractice().form else {}
    loop = read_ending(late.runs[LOOP], late.test, declared, pair.subject.own_test, form, shared)
    if fit is None or loop is None:
        return False

    def explains(side: str, ending: Ending, own: bool = False) -> bool:
        series = (ending.own_series if own else ending.series).get(str(plateau.monitor), [])
        rates = [rate[0] if rate else float("nan") for rate in late.runs[side].rates]
        wanted = _replayed(plateau, series[: late.place], rates[1])
        found = rates[1 : late.place + 1]
        return len(wanted) >= len(found) and each_close(found, wanted[: len(found)], LEARNING_RATE)

    return explains(FIT, fit) and not explains(LOOP, loop) and not explains(LOOP, loop, own=True)


def _replayed(
    plateau: keras.callbacks.ReduceLROnPlateau, values: list[float], rate: float
) -> list[float]:
    """The rate after each epoch, by the rule of a callback on these figures."""
    optimizer = SimpleNamespace(learning_rate=rate)
    rule = keras.callbacks.ReduceLROnPlateau(
        monitor=plateau.monitor,
        factor=plateau.factor,
        patience=plateau.patience,
        mode="max" if maximises(plateau) else "min",
        min_delta=abs(float(plateau.min_delta)),
        cooldown=plateau.cooldown,
        min_lr=plateau.min_lr,
    )
    rule.set_model(SimpleNamespace(optimizer=optimizer))
    rule.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        rule.on_epoch_end(epoch, {plateau.monitor: value})
        found.append(float(optimizer.learning_rate))
    return found


def _name_rates(pair: Pair, late: LateRuns) -> None:
    fit, loop, place = late.runs[FIT].rates, late.runs[LOOP].rates, late.place
    at_fault = FIT if _varies(loop) and not _varies(fit) else LOOP
    observed, right = (fit, loop) if at_fault == FIT else (loop, fit)
    other = pair.other(at_fault).name
    kinds = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
    rules = [type(one).__name__ for one in callbacks_of(pair.fit) if isinstance(one, kinds)]
    by = f", by its {' and '.join(rules)}," if rules and at_fault == LOOP else ""
    now, before = (f"{_said(right[place])}", f"{_said(right[place - 1])}")
    pair.findings.name_cause(
        "learning_rate_schedule",
        at_fault,
        None,
        by_reading(f"learning rate in epoch {late.apart.epoch}", _said(observed[place]), now),
        by_reading("in the epoch before", _said(observed[place - 1]), before),
        fix=f"Change the rate when {other}{by} does: it is {now} in epoch {late.apart.epoch}.",
    )


def _alike(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether as many optimizers have the same rates; of none nothing is known."""
    return bool(one) and len(one) == len(other) and bool(each_close(one, other, LEARNING_RATE))


def _varies(rates: Rates) -> bool:
    known = np.array([rate for rate in rates if rate and len(rate) == len(rates[-1])])
    return bool((np.ptp(known, axis=0) > RATE_VARIES * np.abs(known).max(axis=0)).any())


def _said(rates: tuple[float, ...]) -> str:
    return ", ".join(say(rate) for rate in rates)


def _compare_moved(pair: Pair, late: LateRuns) -> None:
    """Name the loop where other variables move in this epoch than in `fit`, which it is held
    against.
    """
    epoch, runs = late.apart.epoch, late.runs
    if len({len(run.model.variables) for run in runs.values()}) > 1:
        return
    moved = {
        side: [_moved(run, number) for number in range(1, epoch + 1)] for side, run in runs.items()
    }
    if moved[FIT][:-1] != moved[LOOP][:-1] or moved[FIT][-1] == moved[LOOP][-1]:
        return
    fit, loop = moved[FIT][-1], moved[LOOP][-1]
    model = runs[LOOP].model
    found = [
        (f"move in epoch {epoch}, but stay on the other side", loop - fit),
        (f"stay in epoch {epoch}, but move on the other side", fit - loop),
    ]
    evidence = [by_reading(what, _names(model, those), "none") for what, those in found if those]
    pair.findings.name_cause("trainable_flags", LOOP, None, *evidence)


def _moved(run: Milestones, epoch: int) -> frozenset[int]:
    """Positions of the trained variables that an epoch (from 1) has changed. What layers keep for
    themselves (moving averages, seeds) changes in the forward pass, and is left out.
    """
    before, after = run.states[epoch - 1], run.states[epoch]
    kept = {id(v) for layer in run.model._flatten_layers() for v in layer._trainable_variables}
    return frozenset(
        position
        for position in weight_positions(run.model)
        if id(counted_weights(run.model)[position]) in kept
        and not np.array_equal(before[position], after[position])
    )


def _names(model: keras.Model, positions: frozenset[int]) -> str:
    names = [counted_weights(model)[position].path for position in sorted(positions)]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
