"""Stages 'batch contents' and 'batch count': which rows each side trained on, in which order and
form.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.batch_matching import Stream, read_stream
from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.padding import only_padded
from twintrain.diagnosis.replay.tolerances import (
    OTHER_BUFFER,
    OTHER_MAGNITUDE,
    RECOGNISED,
    ROW_DECIMALS,
    SAME_ROW,
    SAME_SCALE,
    SMALL_BUFFER,
    TINY_MAGNITUDE,
)
from twintrain.diagnosis.stages.findings import by_reading
from twintrain.diagnosis.stages.lockstep_tables import same_batches
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.stages.repeated_order import compare_repeats, repeats
from twintrain.diagnosis.stages.validation_split import rows_to_train_on
from twintrain.diagnosis.watch.frozen_rows import as_rows, keys_of
from twintrain.diagnosis.watch.trace import FIT, LOOP, Trace
from twintrain.diagnosis.watch.user_module import UserCodeError

# Another run, to see whether rows are changed at random.
OTHER_SEED = 77
OTHER_STEPS = 3
OTHER_SECONDS = 60.0
# How much of an epoch is missing; the side that lacks more departs.
_MISSING = {"whole": 0, "remainder dropped": 1, "cut": 2, "more": 2}


@looks_for("batch_size_differs")
def check_size(pair: Pair) -> bool:
    """Compare the rows in a batch."""
    wanted = pair.subject.train.batch
    fit, loop = (_size(side) for side in pair.sides)
    if fit != loop:
        at_fault, observed = (FIT, fit) if loop == wanted else (LOOP, loop)
        correct = wanted if wanted != observed else fit
        pair.findings.name_cause(
            "batch_size_differs", at_fault, 0, by_reading("rows in a batch", observed, correct)
        )
    return True


def _size(side: Side) -> int:
    return max(side.stream.sizes)


@looks_for("last_batch_dropped", "epoch_truncated")
def check_count(pair: Pair) -> bool:
    """Compare the rows in each of the two epochs."""
    if not pair.complete:
        pair.findings.notes.append(
            "Epochs were not compared: one side did not come to its end in the time it was given."
        )
        return False
    if pair.findings.has("epochs_differ"):
        return True
    rows = rows_to_train_on(pair)
    (fit, fit_rows), (loop, loop_rows) = (_count(side, rows[side.name]) for side in pair.sides)
    if fit_rows == loop_rows or (fit == loop and fit in ("whole", "remainder dropped")):
        return True
    at_fault = FIT if _MISSING[fit] > _MISSING[loop] else LOOP
    kind, found = (fit, fit_rows) if at_fault == FIT else (loop, loop_rows)
    missing = rows[at_fault] - max(found)
    if pair.findings.has("targets_misaligned") and abs(missing) < _size(pair.side(at_fault)):
        return True  # a shift of the targets leaves the rows at an end without one
    unknown = any((batch < 0).any() for batch in pair.side(at_fault).stream.rows)
    if kind == "more" and unknown:
        pair.findings.unexplained.append(
            f"{at_fault} trains on {found} rows in the two epochs, where there are {rows[at_fault]}"
            ", and some of them are none of these"
        )
        return True
    data = pair.subject.train
    of = f" of {data.amount}" if data.cut or rows[at_fault] < len(data) else ""
    pair.findings.name_cause(
        "last_batch_dropped" if kind == "remainder dropped" else "epoch_truncated",
        at_fault,
        found[0] // max(1, _size(pair.side(at_fault))),
        by_reading("rows in the first and the second epoch", found, f"{(rows[at_fault],) * 2}{of}"),
    )
    return True


def _count(side: Side, rows: int) -> tuple[str, tuple[int, int]]:
    """'whole', 'remainder dropped', 'cut' or 'more', and rows in the first and second epoch."""
    first = sum(side.stream.sizes[: side.first_epoch])
    second = sum(side.stream.sizes[side.first_epoch :])
    if first == rows and second == rows:
        return "whole", (first, second)
    if first == second == rows - rows % _size(side):
        return "remainder dropped", (first, second)
    return ("cut" if first < rows or second < rows else "more"), (first, second)


@looks_for("shuffle_missing", "shuffle_buffer_too_small")
def check_order(pair: Pair) -> bool:
    """Compare the order of the rows."""
    orders = {side.name: _order(side.stream, side.first_epoch) for side in pair.sides}
    fit, loop = orders[FIT][0], orders[LOOP][0]
    if "unknown" in (fit, loop):
        if not pair.unshuffled and not same_batches(pair):
            unknown = " and ".join(name for name, order in orders.items() if order[0] == "unknown")
            why = f"the rows that {unknown} trains on are not those of the data"
            pair.findings.not_compared("order of the rows", why, open_=True)
        return False
    if pair.unshuffled:
        return False  # what was not held still would look like the only side that shuffles
    if "as given" in (fit, loop) and fit != loop:
        in_order = FIT if fit == "as given" else LOOP
        if pair.findings.has("validation_split_differs") and repeats(pair.other(in_order)):
            return True  # its order is that in which it drew its part of the rows
        if _size(pair.side(in_order)) >= len(pair.subject.train):
            return True  # all rows are in one batch: there is no order
        moved = "rows out of the order of the data, first epoch"
        pair.findings.name_cause("shuffle_missing", in_order, 0, by_reading(moved, 0, "nearly all"))
        return True
    if fit == loop == "shuffled":
        compare_repeats(pair)
    at_fault = _smaller_buffer(orders)
    if at_fault is not None:
        _name_buffer(pair, at_fault, orders[at_fault][1], len(pair.subject.train))
    elif fit == loop == "shuffled":
        _compare_buffers(pair)
    return True


def _compare_buffers(pair: Pair) -> None:
    """Compare the buffers by themselves, where the rows that were kept fit in but those of the
    whole data do not.
    """
    data = pair.subject.train
    if not data.cut or data.total is None:
        return
    small = {}
    for side in pair.sides:
        buffer = max(side.trace.buffers, default=0)
        if 0 < buffer < data.total * SMALL_BUFFER and _is_constant(pair, side, buffer):
            small[side.name] = buffer
    if len(small) == 1:
        ((at_fault, buffer),) = small.items()
        evidence = by_reading(
            "buffer of shuffle()", f"{buffer:,} rows", f"{data.total:,} rows, as many as there are"
        )
        pair.findings.name_cause("shuffle_buffer_too_small", at_fault, 0, evidence)


def _is_constant(pair: Pair, side: Side, buffer: int) -> bool:
    """Whether a buffer is the same on fewer rows: it does not grow with the data."""
    fewer = pair.subject.train.shortened(len(pair.subject.train) // 2, shuffled_targets=False)
    varied = pair.subject.varied(fewer, pair.subject.test)
    try:
        return buffer in varied.run(side.name, 1, 0, 1, OTHER_SECONDS).buffers
    except UserCodeError:
        return False


def _smaller_buffer(orders: dict[str, tuple[str, int]]) -> str | None:
    """The side that shuffles with a buffer that is too small; None where both do alike."""
    (fit, ours), (loop, theirs) = orders[FIT], orders[LOOP]
    if fit != loop:
        return FIT if fit == "small buffer" else LOOP
    if fit == "small buffer" and max(ours, theirs) / max(1, min(ours, theirs)) > OTHER_BUFFER:
        return FIT if ours < theirs else LOOP
    return None


def _name_buffer(pair: Pair, at_fault: str, ahead: int, rows: int) -> None:
    evidence = by_reading(
        "farthest a row comes ahead of its place",
        f"{ahead - 1} places, as shuffle({ahead}) does",
        f"about {rows}",
    )
    pair.findings.name_cause("shuffle_buffer_too_small", at_fault, 0, evidence)


def _order(stream: Stream, epoch: int) -> tuple[str, int]:
    """How the first two epochs are ordered: 'as given', 'shuffled', 'small buffer' or 'unknown',
    and the buffer.

    A side that trains on a part of the rows is judged by their order in this part.
    """
    order = stream.part(0, epoch)
    if not len(order) or (order < 0).any():
        return "unknown", 0
    if _is_sorted(order):
        order = stream.part(epoch, 2 * epoch)
        if not len(order) or (order < 0).any() or _is_sorted(order):
            return "as given", 1
    found = _shuffled(order, stream.rows[:epoch])
    if found[0] == "small buffer":
        # Rows that were shuffled before they came here leave their order in the second epoch.
        later = stream.part(epoch, 2 * epoch)
        if np.array_equal(np.sort(later), np.sort(order)):  # a whole epoch of the same rows
            both = (found, _shuffled(later, stream.rows[epoch : 2 * epoch]))
            found = max(both, key=lambda one: (one[0] == "shuffled", one[1]))
    return found


def _shuffled(order: np.ndarray, batches: list[np.ndarray]) -> tuple[str, int]:
    """Whether an epoch's rows are 'shuffled' or drawn from a 'small buffer', and the buffer."""
    trained, places = np.unique(order, return_inverse=True)
    # tf.data's shuffle(b) cannot yield at position p a row from beyond p + b - 1.
    ahead = int((places - np.arange(len(order))).max()) + 1
    if _shuffles_batches(batches):
        return "small buffer", ahead
    return ("small buffer" if ahead < SMALL_BUFFER * len(trained) else "shuffled"), ahead


def _is_sorted(order: np.ndarray) -> bool:
    """Whether rows come in their order; also where they come several times, each time the same
    (`fit` called twice, `repeat` before batching).
    """
    passes = np.split(order, np.flatnonzero(np.diff(order) < 0) + 1)
    first = passes[0]
    return all(np.array_equal(part, first[: len(part)]) for part in passes) and all(
        len(part) == len(first) for part in passes[:-1]
    )


def _shuffles_batches(batches: list[np.ndarray]) -> bool:
    """Whether whole batches of neighbours were shuffled, and not rows."""
    size = max(map(len, batches))
    if size <= 1 or len(batches) <= 2:
        return False
    return all((batch // size == batch[0] // size).all() for batch in batches)


@looks_for("preprocessing_differs", "augmentation_one_sided", "precision_differs")
def check_change(pair: Pair) -> bool:
    """Compare what was made of the rows of the data."""
    for side in pair.sides:
        if side.stream.change == "fixed" and _is_random(pair, side):
            side.stream.change = "random"
    fit, loop = pair.fit.stream, pair.loop.stream
    if _same_change(fit, loop):
        if fit.change == "fixed" and not _same_sets(fit, loop):
            _name_preprocessing(pair, LOOP)
    elif "random" in (fit.change, loop.change):
        _name_augmentation(pair)
    elif "rounded" in (fit.change, loop.change):
        _name_rounding(pair)
    elif _one_trains_a_part(pair):
        why = "one side trains a part of the other's model, whose inputs are no rows of the data"
        pair.findings.not_compared("inputs", why, open_=True)
        return False
    elif any(map(_pads_otherwise, pair.sides, reversed(pair.sides))):
        why = "the sides pad to different lengths; the model gives the same for both"
        pair.findings.not_compared("inputs", why, open_=True)
        return False
    else:
        _name_preprocessing(pair, _farther_scale(pair))
    return True


def _pads_otherwise(side: Side, other: Side) -> bool:
    """Whether what tells the inputs of two sides apart is padding that the model masks."""
    values = other.stream.values
    return bool(side.close and values) and only_padded(side.close[0], values, values[0].shape[1])


def _one_trains_a_part(pair: Pair) -> bool:
    """Whether the model of one side has some of the other's layers only, by shapes of weights."""
    fit, loop = (
        Counter(tuple(weight.shape) for weight in side.steps[0].model.weights)
        for side in pair.sides
    )
    return fit != loop and (fit <= loop or loop <= fit)


def _same_change(fit: Stream, loop: Stream) -> bool:
    if fit.change != loop.change:
        return False
    return fit.change in ("none", "fixed", "random") or _same_detail(fit, loop)


def _same_detail(a: Stream, b: Stream) -> bool:
    if isinstance(a.detail, tuple) and isinstance(b.detail, tuple):
        return each_close(a.detail, b.detail, SAME_SCALE)
    return a.detail == b.detail


def _same_sets(a: Stream, b: Stream) -> bool:
    one, other = _rounded_rows(a), _rounded_rows(b)
    return len(one & other) > RECOGNISED * min(len(one), len(other))


def _rounded_rows(stream: Stream) -> set[bytes]:
    # Adding zero turns -0.0 into 0.0.
    batches = [np.round(batch, ROW_DECIMALS) + 0.0 for batch in stream.values]
    return {row.tobytes() for batch in batches for row in batch}


def _name_augmentation(pair: Pair) -> None:
    side = pair.fit if pair.fit.stream.change == "random" else pair.loop
    evidence = by_reading(
        "rows that differ between two epochs",
        f"{_changed_share(side.stream, pair)}, and they change at random",
        "none",
    )
    pair.findings.name_cause("augmentation_one_sided", LOOP, 0, evidence)


def _changed_share(stream: Stream, pair: Pair) -> str:
    known = set(pair.subject.train.keys)
    keys = [key for batch in stream.values for key in keys_of(batch)]
    share = sum(key not in known for key in keys) / max(1, len(keys))
    return f"{share:.0%} of rows are not in the data"


def _name_rounding(pair: Pair) -> None:
    side = pair.fit if pair.fit.stream.change == "rounded" else pair.loop
    evidence = by_reading("inputs", f"rounded to {side.stream.detail}", "float32")
    pair.findings.name_cause(
        "precision_differs", side.name, 0, evidence, stage=Stage.BATCH_CONTENTS
    )


def _farther_scale(pair: Pair) -> str:
    """The side whose inputs are farther from one.

    Which of two scales is wrong cannot be seen from the sides alone; networks want inputs of about
    one.
    """
    far = {}
    for side in pair.sides:
        largest = max(float(np.abs(np.concatenate(side.stream.values)).max()), TINY_MAGNITUDE)
        far[side.name] = abs(np.log10(largest))
    return FIT if far[FIT] > far[LOOP] + OTHER_MAGNITUDE else LOOP


def _name_preprocessing(pair: Pair, at_fault: str) -> None:
    observed = _describe(pair.side(at_fault).stream)
    correct = _describe(pair.other(at_fault).stream)
    pair.findings.name_cause(
        "preprocessing_differs", at_fault, 0, by_reading("inputs", observed, correct)
    )


def _describe(stream: Stream) -> str:
    values = np.concatenate(stream.values)
    known = {"none": "the data as it is", "fixed": "changed by a fixed function"}
    how = known.get(stream.change, stream.change)
    if isinstance(stream.detail, tuple):
        scale, offset = stream.detail
        how = f"x' = {scale:.6g} x {'+' if offset >= 0 else '-'} {abs(offset):.6g}"
    return f"{how}, values {values.min():.4g} to {values.max():.4g}"


def _is_random(pair: Pair, side: Side) -> bool:
    """Whether a row is changed otherwise under another seed or at another place in the data.

    A data set's random map repeats itself in every epoch under one seed, so epochs alone do not
    show it.
    """
    moved, order = pair.subject.train.reordered()
    again = pair.subject.varied(moved, pair.subject.test).run(
        side.name, 1, 0, OTHER_STEPS, OTHER_SECONDS, OTHER_SEED, pair.unshuffled
    )
    rows = read_stream(again.steps, moved, len(again.steps)).rows
    pairs = _same_rows(side.stream, again, rows, order)
    if pairs:
        return any(not each_close(a, b, SAME_ROW) for a, b in pairs)
    known = {row.tobytes() for values in side.stream.values for row in values}
    return not any(row.tobytes() in known for step in again.steps for row in as_rows(step.inputs))


def _same_rows(
    stream: Stream, again: Trace, rows: list[np.ndarray], order: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """What became of the same row in a stream and in another run on reordered rows."""
    known: dict[int, np.ndarray] = {}
    for ids, values in zip(stream.rows, stream.values, strict=True):
        known |= {int(row): value for row, value in zip(ids, values, strict=True) if row >= 0}
    found = []
    for ids, step in zip(rows, again.steps, strict=True):
        for row, value in zip(ids, as_rows(step.inputs), strict=True):
            if row >= 0 and int(order[row]) in known:
                found.append((known[int(order[row])], value))
    return found


CHECKS = (check_size, check_count, check_order, check_change)
