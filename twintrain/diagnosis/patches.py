"""What to change, as a difference that can be applied to the user's file: only where it is one call
in one line, and certain.

Certain is what was seen: that very call was under way, it was nothing else's call too (another side
or the evaluation may share a function), and with the edit the file is the same but for that.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable
from pathlib import Path

import keras

from twintrain.diagnosis.edits import (
    Edit,
    edited,
    unified,
    with_call_before,
    with_first,
    with_keyword,
    without_keyword,
)
from twintrain.diagnosis.result import Cause
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.places import Source, Spot, place_of

# Data sets behind a `batch` that neither count batches nor keep them.
_PASSING = {"_MapDataset", "_ParallelMapDataset", "_PrefetchDataset", "_OptionsDataset"}
_ASSERTING = "_AssertCardinalityDataset"
# A shuffle before or behind one of these is another one.
_REPEATING = {"_RepeatDataset", "_CacheDataset", "CacheDatasetV2"}

Change = tuple[Spot | None, Edit]


def patch_of(pair: Pair, cause: Cause) -> str:
    """The difference that mends a cause; empty where that is not certain.

    Args:
        pair: both sides.
        cause: with its step counted from 0.
    """
    change = _CHANGES[cause.id](pair, pair.side(cause.side)) if cause.id in _CHANGES else None
    spot, edit = change or (None, None)
    if spot is None or edit is None or spot.end is None:
        return ""
    path = Path(spot.file)
    source = "".join(linecache.getlines(spot.file))
    if not _is_source(path) or "\r" in source:
        return ""
    changed = edited(source, spot.end, edit)
    if changed is None or changed == source:
        return ""
    return unified(place_of(spot).file, source, changed)


def _is_source(path: Path) -> bool:
    """Whether that is a file somebody edits; code taken out of a notebook is none."""
    return path.suffix == ".py" and not path.stem.endswith(".ipynb") and path.is_file()


def _training_flag(pair: Pair, side: Side) -> Change | None:
    spots = {step.places.get("call") for step in side.steps if step.training is not True}
    others = {step.places.get("call") for step in pair.other(side.name).steps}
    others |= {evaluation.at for each in pair.sides for evaluation in each.trace.evaluations}
    return _only(spots, others), with_keyword("training", True, only_after=1)


def _evaluation_flag(pair: Pair, side: Side) -> Change | None:
    evaluations = side.trace.evaluations
    spots = {evaluation.at for evaluation in evaluations if evaluation.training}
    others = {step.places.get("call") for each in pair.sides for step in each.steps}
    others |= {evaluation.at for evaluation in pair.other(side.name).trace.evaluations}
    return _only(spots, others), with_keyword("training", False, only_after=1)


def _shuffle_before_batch(pair: Pair, side: Side) -> Change | None:
    rows = _rows(pair)
    spot = _station(pair, side, "batch")
    if rows is None or spot is None or side.steps[0].source.at("shuffle") is not None:
        return None
    return spot, with_call_before("shuffle", rows)


def _whole_buffer(pair: Pair, side: Side) -> Change | None:
    rows, source = _rows(pair), side.steps[0].source
    stations = [station.kind for station in source.stations]
    # Shuffled as rows: behind a batch, whole batches are.
    if rows is None or stations != ["batch", "shuffle"]:
        return None
    return _station(pair, side, "shuffle"), with_first("buffer_size", rows)


def _whole_last_batch(pair: Pair, side: Side) -> Change | None:
    if _ASSERTING in side.steps[0].source.kinds:
        return None  # of a number of batches that would be another one
    return _station(pair, side, "batch"), without_keyword("drop_remainder", True)


def _from_logits(pair: Pair, side: Side) -> Change | None:
    losses = side.steps[0].losses
    if len(losses) != 1:
        return None
    loss = losses[0].loss
    made = side.trace.made.get(id(loss))
    others = {id(call.loss) for step in pair.other(side.name).steps for call in step.losses}
    if made is None or id(loss) in others or not isinstance(loss, keras.losses.Loss):
        return None
    given = loss.get_config().get("from_logits")
    if not isinstance(given, bool) or not _is_built_in(loss):
        return None
    shared = {spot for _, spot in pair.other(side.name).trace.made.values()}
    edit = with_keyword("from_logits", not given, only_after=0, name_of=type(loss).__name__)
    return _only({made[1]._replace(direct=True)}, {s._replace(direct=True) for s in shared}), edit


_CHANGES: dict[str, Callable[[Pair, Side], Change | None]] = {
    "training_flag_missing": _training_flag,
    "evaluation_training_mode": _evaluation_flag,
    "shuffle_missing": _shuffle_before_batch,
    "shuffle_buffer_too_small": _whole_buffer,
    "last_batch_dropped": _whole_last_batch,
    "probabilities_as_logits": _from_logits,
}


def _only(spots: Iterable[Spot | None], others: Iterable[Spot | None]) -> Spot | None:
    """The one call there is, if it is itself what was watched and is nothing else's."""
    found, taken = set(spots), {(spot.code, spot.instruction) for spot in others if spot}
    if len(found) != 1:
        return None
    spot = found.pop()
    if spot is None or not spot.direct or (spot.code, spot.instruction) in taken:
        return None
    return spot


def _station(pair: Pair, side: Side, kind: str) -> Spot | None:
    """The one call of that kind that makes the training data of a side, and only that."""
    sources = {step.source for step in side.steps}
    if any(not _is_read(source) for source in sources):
        return None
    others: list[Source] = [step.source for step in pair.other(side.name).steps]
    others += [e.source for each in pair.sides for e in each.trace.evaluations]
    taken = {station.at for source in others for station in source.stations}
    kinds = [[s.at for s in source.stations if s.kind == kind] for source in sources]
    if any(len(spots) != 1 for spots in kinds):
        return None
    return _only((spots[0] for spots in kinds), taken)


def _is_read(source: Source) -> bool:
    """Whether nothing behind the last `batch` changes what a batch is, and nothing repeats or keeps
    the data.
    """
    names = [name for name in source.kinds if name not in _PASSING | {_ASSERTING}]
    return bool(names) and "Batch" in names[0] and _REPEATING.isdisjoint(names)


def _rows(pair: Pair) -> int | None:
    """Rows of the user's training data."""
    train = pair.subject.train
    return train.total if train.cut else len(train)


def _is_built_in(loss: keras.losses.Loss) -> bool:
    return type(loss).__module__.startswith("keras.")
