"""Stage 'batch': the first weights, and which rows each side trained on, in which order and form."""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.batch_matching import Stream, read_stream
from twintrain.diagnosis.stages.findings import (
    FIT,
    LOOP,
    Pair,
    Side,
    largest,
    shown,
    weight_positions,
)
from twintrain.diagnosis.watch.frozen_rows import as_rows, keys_of

OTHER_SEED = 77


def check_start(pair: Pair) -> None:
    """Do both train from the weights they were given?"""
    first = [side.steps[0] for side in pair.sides]
    if any(step.before is None for step in first):
        return
    chosen = []
    for step in first:
        assert step.before is not None
        chosen.append([step.before[i] for i in weight_positions(step.model)])
    gap = largest(*chosen)
    pair.ruled_out.add("different_initial_weights")
    if gap is None:
        pair.unexplained.append("the two sides train models of different shapes")
    elif gap > 1e-6:
        moved = {}
        for side, weights in zip(pair.sides, chosen, strict=True):
            given = (
                [side.trace.initial[i] for i in weight_positions(side.steps[0].model)]
                if side.trace.initial
                else []
            )
            moved[side.name] = largest(given, weights) or 0.0
        at_fault = FIT if moved[FIT] > 0 and not moved[LOOP] > 0 else LOOP
        pair.name_cause(
            "different_initial_weights",
            at_fault,
            "before step 0",
            None,
            shown(
                "largest distance from the given weights at the first step",
                moved[at_fault],
                moved[at_fault],
                0.0,
            ),
        )


def check_batches(pair: Pair) -> None:
    """Sizes, counts, order and content of the training batches."""
    _check_size(pair)
    _check_count(pair)
    _check_order(pair)
    _check_change(pair)


def _size(side: Side) -> int:
    return max(side.stream.sizes)


def _check_size(pair: Pair) -> None:
    pair.ruled_out.add("batch_size_differs")
    wanted = pair.subject.train.batch
    fit, loop = (_size(side) for side in pair.sides)
    if fit != loop:
        at_fault = FIT if loop == wanted else LOOP
        observed = fit if at_fault == FIT else loop
        pair.name_cause(
            "batch_size_differs",
            at_fault,
            "batch contents",
            0,
            shown("rows in a batch", observed, observed, wanted if wanted != observed else fit),
        )


def _count(side: Side, rows: int) -> tuple[str, tuple[int, int]]:
    """'whole', 'remainder dropped', 'cut' or 'more', and rows in the first and second epoch."""
    first = sum(side.stream.sizes[: side.first_epoch])
    second = sum(side.stream.sizes[side.first_epoch :])
    size = _size(side)
    if first == rows and second == rows:
        return "whole", (first, second)
    if first == second == rows - rows % size:
        return "remainder dropped", (first, second)
    return ("cut" if first < rows or second < rows else "more"), (first, second)


def _check_count(pair: Pair) -> None:
    rows = len(pair.subject.train)
    if not all(side.trace.complete for side in pair.sides):
        pair.notes.append(
            "Epochs were not compared: one side did not come to its end in the time it was given."
        )
        return
    pair.ruled_out |= {"last_batch_dropped", "epoch_truncated"}
    (fit, fit_rows), (loop, loop_rows) = (_count(side, rows) for side in pair.sides)
    if fit_rows == loop_rows or (fit == loop == "whole") or (fit == loop == "remainder dropped"):
        return
    at_fault = LOOP if loop != "whole" else FIT
    kind, seen = (loop, loop_rows) if at_fault == LOOP else (fit, fit_rows)
    if fit != "whole" and loop != "whole" and "remainder dropped" in (fit, loop):
        at_fault, kind, seen = (
            (LOOP, loop, loop_rows) if fit == "remainder dropped" else (FIT, fit, fit_rows)
        )
    id_ = "last_batch_dropped" if kind == "remainder dropped" else "epoch_truncated"
    step = seen[0] // max(1, _size(pair.loop if at_fault == LOOP else pair.fit))
    pair.name_cause(
        id_,
        at_fault,
        "batch count",
        step,
        shown("rows in the first and the second epoch", seen, seen, (rows, rows)),
    )


def _order(stream: Stream, epoch: int, rows: int) -> tuple[str, int]:
    """How the first two epochs are ordered: 'as given', 'shuffled', 'small buffer' or 'unknown',
    and the buffer.
    """
    first, second = stream.part(0, epoch), stream.part(epoch, 2 * epoch)
    if not len(first) or (first < 0).any():
        return "unknown", 0
    positions = np.arange(len(first))
    if (first == positions).all():
        if len(second) and not (second < 0).any() and not (second == np.arange(len(second))).all():
            first, positions = second, np.arange(len(second))
        else:
            return "as given", 1
    # tf.data's shuffle(b) cannot yield at position p a row from beyond p + b - 1.
    ahead = int((first - positions).max()) + 1
    size = max(stream.sizes)
    whole = (
        all((batch // size == batch[0] // size).all() for batch in stream.rows[:epoch])
        and epoch > 2
    )
    if whole and size > 1:
        return "small buffer", ahead
    return ("small buffer" if ahead < 0.6 * rows else "shuffled"), ahead


def _check_order(pair: Pair) -> None:
    rows = len(pair.subject.train)
    orders = {side.name: _order(side.stream, side.first_epoch, rows) for side in pair.sides}
    kinds = {name: kind for name, (kind, _) in orders.items()}
    if "unknown" in kinds.values():
        return
    pair.ruled_out |= {"shuffle_missing", "shuffle_buffer_too_small"}
    if kinds[FIT] == kinds[LOOP]:
        if kinds[FIT] == "small buffer" and _ratio(orders[FIT][1], orders[LOOP][1]) > 2:
            at_fault = FIT if orders[FIT][1] < orders[LOOP][1] else LOOP
            _name_buffer(pair, at_fault, orders[at_fault][1], rows)
        return
    if "as given" in kinds.values():
        at_fault = FIT if kinds[FIT] == "as given" else LOOP
        pair.name_cause(
            "shuffle_missing",
            at_fault,
            "batch contents",
            0,
            shown("rows out of the order of the data, first epoch", 0, 0, "nearly all"),
        )
        return
    at_fault = FIT if kinds[FIT] == "small buffer" else LOOP
    _name_buffer(pair, at_fault, orders[at_fault][1], rows)


def _name_buffer(pair: Pair, at_fault: str, ahead: int, rows: int) -> None:
    evidence = shown(
        "farthest a row comes ahead of its place",
        ahead - 1,
        f"{ahead - 1} with shuffle({ahead})",
        f"about {rows}",
    )
    pair.name_cause("shuffle_buffer_too_small", at_fault, "batch contents", 0, evidence)


def _ratio(a: int, b: int) -> float:
    return max(a, b) / max(1, min(a, b))


def _check_change(pair: Pair) -> None:
    pair.ruled_out |= {"preprocessing_differs", "augmentation_one_sided"}
    for side in pair.sides:
        if side.stream.change == "fixed" and _is_random(pair, side):
            side.stream.change = "random"
    fit, loop = pair.fit.stream, pair.loop.stream
    if fit.change == loop.change and (
        fit.change in ("none", "fixed", "random") or _same_detail(fit, loop)
    ):
        if fit.change == "fixed" and not _same_sets(fit, loop):
            _name_preprocessing(pair, LOOP)
        return
    if "random" in (fit.change, loop.change):
        side = pair.fit if fit.change == "random" else pair.loop
        changed = _changed_share(side.stream, pair)
        pair.name_cause(
            "augmentation_one_sided",
            LOOP,
            "batch contents",
            0,
            shown("rows that differ between two epochs", changed, "random change of rows", "none"),
        )
        return
    if "rounded" in (fit.change, loop.change):
        side = pair.fit if fit.change == "rounded" else pair.loop
        pair.name_cause(
            "precision_differs",
            side.name,
            "batch contents",
            0,
            shown(
                "inputs",
                f"rounded to {side.stream.detail}",
                f"rounded to {side.stream.detail}",
                "float32",
            ),
        )
        return
    # Which of two scales is wrong cannot be seen from the sides alone; networks want inputs of
    # about one.
    far = {
        side.name: abs(np.log10(max(float(np.abs(np.concatenate(side.stream.values)).max()), 1e-9)))
        for side in pair.sides
    }
    _name_preprocessing(pair, FIT if far[FIT] > far[LOOP] + 0.3 else LOOP)


def _is_random(pair: Pair, side: Side) -> bool:
    """Whether a row is changed otherwise under another seed or at another place in the data.

    A data set's random map repeats itself in every epoch under one seed, so epochs alone do not
    show it.
    """
    moved, order = pair.subject.train.reordered()
    other = pair.subject.varied(moved, pair.subject.test).run(
        side.name, 1, 0, 3, 20.0, seed=OTHER_SEED
    )
    rows = read_stream(other.steps, moved, len(other.steps)).rows
    known: dict[int, np.ndarray] = {}
    for ids, values in zip(side.stream.rows, side.stream.values, strict=True):
        known |= {int(row): value for row, value in zip(ids, values, strict=True) if row >= 0}
    pairs = [
        (known[int(order[row])], value)
        for ids, step in zip(rows, other.steps, strict=True)
        for row, value in zip(ids, as_rows(step.inputs), strict=True)
        if row >= 0 and int(order[row]) in known
    ]
    if pairs:
        return any(not np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs)
    seen = {row.tobytes() for values in side.stream.values for row in values}
    return not any(row.tobytes() in seen for step in other.steps for row in as_rows(step.inputs))


def _name_preprocessing(pair: Pair, at_fault: str) -> None:
    side, other = (pair.fit, pair.loop) if at_fault == FIT else (pair.loop, pair.fit)
    pair.name_cause(
        "preprocessing_differs",
        at_fault,
        "batch contents",
        0,
        shown("inputs", _describe(side.stream), _describe(side.stream), _describe(other.stream)),
    )


def _describe(stream: Stream) -> str:
    values = np.concatenate(stream.values)
    how = {"none": "the data as it is", "fixed": "changed by a fixed function"}.get(
        stream.change, stream.change
    )
    if isinstance(stream.detail, tuple):
        how = f"x' = {stream.detail[0]:.6g} x {'+' if stream.detail[1] >= 0 else '-'} {abs(stream.detail[1]):.6g}"
    return f"{how}, values {values.min():.4g} to {values.max():.4g}"


def _same_detail(a: Stream, b: Stream) -> bool:
    if isinstance(a.detail, tuple) and isinstance(b.detail, tuple):
        return bool(np.allclose(a.detail, b.detail, rtol=1e-4, atol=1e-6))
    return a.detail == b.detail


def _same_sets(a: Stream, b: Stream) -> bool:
    one, other = (
        {row.tobytes() for batch in s.values for row in np.round(batch, 4) + 0.0} for s in (a, b)
    )
    return len(one & other) > 0.9 * min(len(one), len(other))


def _changed_share(stream: Stream, pair: Pair) -> str:
    known = set(pair.subject.train.keys)
    keys = [key for batch in stream.values for key in keys_of(batch)]
    return f"{sum(key not in known for key in keys) / max(1, len(keys)):.0%} of rows are not in the data"
