"""Stage 'end of run': how many epochs were trained, and which weights kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import (
    all_close_to,
    each_close,
    weight_positions,
)
from twintrain.diagnosis.replay.early_stopping import (
    EPOCHS,
    Ending,
    Series,
    best_is_last,
    maximises,
    read_ending,
    rule_of,
    stopped_by,
)
from twintrain.diagnosis.replay.losses import LossPractice
from twintrain.diagnosis.replay.tolerances import COURSE, FIGURE
from twintrain.diagnosis.stages.epochs import name_epochs
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.fit_callbacks import callbacks_of, monitored
from twintrain.diagnosis.stages.loss_heads import form_of_figures
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.stages.validation_split import held_rows
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import Rows
from twintrain.diagnosis.watch.trace import FIT, LOOP


@looks_for("early_stopping_rule", "best_weights_not_restored", "epochs_differ")
def check_ending(
    pair: Pair,
    runs: dict[str, Milestones],
    test: Rows | None,
    again: Callable[[str], Milestones | None],
    further: Sequence[Callable[[], dict[str, Milestones] | None]],
    all_rows: bool = False,
) -> bool:
    """Compare early stopping and the weights kept, in a training long enough for both to show.

    Args:
        pair: findings go here; its losses were read.
        runs: per side, a training of as many epochs.
        test: what it evaluated on; its targets were dealt out anew, so that the validation loss
            soon rises.
        again: runs a side for as long on other rows.
        further: run both sides for more epochs, and on rows that the rule soon stops on; asked
            where the loop went on to the end, and fit's rule would have let it.
        all_rows: it trained on the very rows that the sides were watched on.
    """
    reading, form = pair.losses.get(FIT), form_of_figures(pair)
    declared = None if reading is None else reading.declared
    own = functools.cache(pair.subject.own_test)
    # Where nobody was given rows to evaluate on, a side may hold training rows back.
    held = test is None and all_rows
    given = {side.name: held_rows(pair, side) if held else test for side in pair.sides}
    metrics = monitored(pair.fit)

    def endings(runs: dict[str, Milestones]) -> tuple[Ending, Ending] | None:
        taken = LossPractice() if reading is None else reading.practice
        fit = read_ending(runs[FIT], given[FIT], declared, form=taken.form, metrics=metrics)
        ours = None if form is None else declared
        # A metric of probabilities is none of logits.
        shared = metrics if form == taken.form else {}
        loop = read_ending(runs[LOOP], given[LOOP], ours, own, form or "", shared)
        return None if fit is None or loop is None else (fit, loop)

    found = endings(runs)
    if found is None:
        return False
    asked, callback = runs[FIT].asked or EPOCHS, _callback(pair.fit)
    explained = callback is None or _explains(callback, found[0])
    if callback is not None:
        # Rows that a side holds back of its training would be dealt out anew with the others.
        ways = iter(further[: 1 if held else None])
        runs, found, explained = _until_it_shows(pair, callback, runs, found, endings, ways)
    fit, loop = found
    if callback is None and fit.epochs != loop.epochs and _check_epochs(pair, fit, loop, again):
        return True
    alike = _alike(runs, min(fit.epochs, loop.epochs))
    late = fit.asked > asked
    if callback is not None and not explained and (late or loop.may_differ or held):
        why = f"fit's own stop after {fit.epochs} epochs is not what its {callback.monitor} gives"
        pair.findings.not_compared("early stopping", why, open_=True)
    elif callback is not None or fit.epochs != loop.epochs:
        _check_rule(pair, callback, fit, loop, alike)
    _check_kept(pair, callback, fit, loop, alike)
    return True


def _until_it_shows(
    pair: Pair,
    callback: keras.callbacks.EarlyStopping,
    runs: dict[str, Milestones],
    found: tuple[Ending, Ending],
    endings: Callable[[dict[str, Milestones]], tuple[Ending, Ending] | None],
    further: Iterator[Callable[[], dict[str, Milestones] | None]],
) -> tuple[dict[str, Milestones], tuple[Ending, Ending], bool]:
    """Runs in which it shows whether the loop has fit's rule, as far as there are any; how the
    sides end in them, and whether fit's rule explains all that was seen of `fit`.
    """
    # Late in a training rounding decides which of two epochs was the better one.
    explained = _explains(callback, found[0])
    longest = found
    for run in further:
        if _shows(pair, callback, *found):
            return runs, found, explained
        longer = run()
        more = None if longer is None else endings(longer)
        if longer is not None and more is not None:
            runs, found, explained = longer, more, explained and _explains(callback, more[0])
            longest = max(longest, more, key=lambda ends: ends[1].asked)
    if not _shows(pair, callback, *found):
        _tell_unseen(pair, *longest)
    return runs, found, explained


def _alike(runs: dict[str, Milestones], epochs: int) -> bool:
    """Whether the weights of both sides are the same after each of so many epochs, and so is what
    is measured of them.
    """
    fit, loop = runs[FIT], runs[LOOP]
    positions = weight_positions(fit.model)
    states = list(zip(fit.states[1 : epochs + 1], loop.states[1 : epochs + 1], strict=False))
    return len(states) == epochs and all(
        len(ours) == len(theirs)
        and all_close_to([ours[p] for p in positions], [theirs[p] for p in positions], COURSE)
        for ours, theirs in states
    )


def _explains(callback: keras.callbacks.EarlyStopping, fit: Ending) -> bool:
    """Whether the replay of fit's rule stops where fit stopped."""
    return _stops(callback, fit, fit.series) == fit.epochs


def _shows(pair: Pair, callback: keras.callbacks.EarlyStopping, fit: Ending, loop: Ending) -> bool:
    """Whether these trainings show if the loop has the rule that `fit` was given."""
    # A patience longer than a training whose length is known stops nothing.
    if pair.subject.most_epochs is not None and callback.patience >= pair.subject.most_epochs:
        return True
    if loop.epochs < loop.asked:
        return True
    wanted = (_wanted(callback, fit, loop), _wanted_on_own(callback, fit, loop))
    return all(epochs is None or epochs < loop.asked for epochs in wanted)


def _tell_unseen(pair: Pair, fit: Ending, loop: Ending) -> None:
    """The loop went on to the end, as fit's rule lets it: whether it has that rule is not known."""
    stopped = "neither side" if fit.epochs == fit.asked else "fit alone"
    why = f"it stopped {stopped} within {loop.asked} epochs, and would not have stopped the loop"
    pair.findings.not_compared("early stopping", why, open_=True)


def _check_epochs(
    pair: Pair, fit: Ending, loop: Ending, again: Callable[[str], Milestones | None]
) -> bool:
    """Name a side that does not train the epochs it is asked for, whatever its figures are."""
    at_fault, observed, expected = (
        (FIT, fit, loop) if loop.epochs == loop.asked else (LOOP, loop, fit)
    )
    if observed.epochs == observed.asked:
        return False
    other = again(at_fault)
    if other is None or other.epochs != observed.epochs:
        return False  # it stops by a figure
    name_epochs(pair, at_fault, (observed.asked,), (observed.epochs,), (expected.epochs,))
    return True


def _check_kept(pair: Pair, callback: Any, fit: Ending, loop: Ending, alike: bool) -> None:
    """Compare the epochs whose weights are kept; where both had the same weights until one of them
    stopped (`alike`), what is the best for one is so for the other.
    """
    if not fit.kept or not loop.kept:
        return
    if fit.keeps_last == loop.keeps_last:
        _check_best(pair, fit, loop)
        return
    at_fault, bad, good = (FIT, fit, loop) if fit.keeps_last else (LOOP, loop, fit)
    alike = alike and fit.epochs == loop.epochs
    last = {best_is_last(series) for series in _figures_of(callback, fit, loop, bad)}
    if last == {True}:
        return
    if last == {None} and not alike:
        why = f"whether the last epoch of {at_fault} was its best is not known"
        pair.findings.not_compared("weights kept", why, open_=True)
        return
    if len(last) > 1:
        why = f"whether the last epoch of {at_fault} was its best depends on the rows it evaluates"
        pair.findings.not_compared("weights kept", why, open_=True)
        return
    evidence = by_reading(
        "weights kept",
        f"of epoch {bad.kept} of {bad.epochs}, the last",
        f"of epoch {good.kept} of {good.epochs}",
    )
    pair.findings.name_cause("best_weights_not_restored", at_fault, None, evidence)


def _check_best(pair: Pair, fit: Ending, loop: Ending) -> None:
    """Both keep an epoch's weights other than the last's: is it the best by the figure that fit's
    callback was told?
    """
    if fit.kept == loop.kept or fit.keeps_last or fit.epochs != loop.epochs:
        return
    keeper = _keeper_of_best(pair.fit)
    if keeper is None or fit.kept != _best(fit.series, keeper):
        return
    monitor = str(keeper.monitor)
    values = loop.series.get(monitor)
    if not values or loop.kept in (_best(s, keeper) for s in (loop.series, loop.own_series)):
        return
    at, best = (values[kept - 1] for kept in (loop.kept, fit.kept))
    if each_close(at, best, FIGURE):
        return  # which of the two is better is rounding
    pair.findings.name_cause(
        "early_stopping_rule",
        LOOP,
        None,
        by_reading(
            "weights kept",
            f"of epoch {loop.kept} of {loop.epochs}, where {monitor} is {at:.6g}",
            f"of epoch {fit.kept}, the best by {monitor}: {best:.6g}",
        ),
        fix=f"Let both go by one figure: fit's callback keeps the epoch with the best {monitor} "
        "(its `monitor`), the loop another one.",
    )


def _keeper_of_best(side: Side) -> keras.callbacks.Callback | None:
    """The callback by which `fit` keeps the epoch that is best by a figure; None where it has none,
    or one of another rule.
    """
    for one in callbacks_of(side):
        if isinstance(one, keras.callbacks.ModelCheckpoint):
            plain = one.save_best_only
        elif isinstance(one, keras.callbacks.EarlyStopping):
            plain = one.restore_best_weights and not (one.min_delta or one.start_from_epoch)
        else:
            continue
        return one if plain else None
    return None


def _best(series: Series, keeper: keras.callbacks.Callback) -> int | None:
    """The first epoch (from 1) that was best by a callback's figure; None where it is not known."""
    values = series.get(str(keeper.monitor))
    if not values:
        return None
    return 1 + int(np.argmax(values) if maximises(keeper) else np.argmin(values))


def _figures_of(callback: Any, fit: Ending, loop: Ending, bad: Ending) -> list[Series]:
    """The figures a side may have judged its epochs by: by those that explain where the loop
    stopped, if only one kind does.
    """
    if bad is fit or not loop.own_series:
        return [bad.series]
    served = callback is not None and _wanted(callback, fit, loop) == loop.epochs
    on_own = _wanted_on_own(callback, fit, loop) == loop.epochs
    if served == on_own:
        return [loop.series, loop.own_series]
    return [loop.series if served else loop.own_series]


def _check_rule(pair: Pair, callback: Any, fit: Ending, loop: Ending, alike: bool) -> None:
    """Does fit's rule, applied to the loop's own figures, stop where the loop stopped?

    Where these are not known, the loop should stop where fit did if both had the same weights
    (`alike`) until then.
    """
    wanted = _wanted(callback, fit, loop)
    if loop.epochs in (wanted, _wanted_on_own(callback, fit, loop)):
        return
    if not alike and not _knows(callback, fit, loop):
        what = "the figure it goes by" if callback is None else f"its {callback.monitor}"
        ends = f"fit stops after {fit.epochs} epochs, the loop after {loop.epochs}"
        why = f"{ends}, and {what} is not known"
        pair.findings.not_compared("early stopping", why, open_=True)
        return
    rule = rule_of(loop, callback)
    if rule is None:
        pair.findings.unexplained.append(
            f"the loop trains {loop.epochs} epochs, where fit's rule gives {wanted}, and no rule "
            "that was tried gives that"
        )
        return
    right = _described(callback) or rule_of(fit) or "by a rule of its own"
    evidence = by_replay(
        "epochs trained", loop.epochs, f"{loop.epochs} ({rule})", f"{fit.epochs} ({right})"
    )
    pair.findings.name_cause("early_stopping_rule", LOOP, None, evidence)


def _wanted(callback: Any, fit: Ending, loop: Ending) -> int:
    """Epochs the loop should train: by fit's callback where it explains fit, else those of fit."""
    if callback is None or not _explains(callback, fit):
        return fit.epochs
    replayed = _stops(callback, loop, loop.series)
    return fit.epochs if replayed is None else replayed


def _knows(callback: Any, fit: Ending, loop: Ending) -> bool:
    """Whether fit's rule, and what it says to the loop's own figures, is known."""
    if callback is None or not _explains(callback, fit):
        return False
    return _stops(callback, loop, loop.series) is not None


def _wanted_on_own(callback: Any, fit: Ending, loop: Ending) -> int | None:
    """The same if the loop evaluated on rows of its own; None where it cannot have, or where fit's
    callback explains nothing.
    """
    if callback is None or not _explains(callback, fit):
        return None
    return _stops(callback, loop, loop.own_series)


def _described(callback: Any) -> str | None:
    if callback is None:
        return None
    delta = abs(float(callback.min_delta))
    return f"monitor {callback.monitor}, patience {callback.patience}, min_delta {delta:g}"


def _stops(callback: keras.callbacks.EarlyStopping, ending: Ending, series: Series) -> int | None:
    """Where fit's callback stops on a side's figures; None where these are not known."""
    values = series.get(str(callback.monitor))
    if not values:
        return None
    # Where it does not stop, it would have gone on to the end.
    return stopped_by(callback, values) or ending.asked


def _callback(side: Side) -> keras.callbacks.EarlyStopping | None:
    """The early stopping that `fit` was given."""
    return next(
        (one for one in callbacks_of(side) if isinstance(one, keras.callbacks.EarlyStopping)), None
    )
