"""What each side fed its model: which rows, in which order, how many at a time, and whether it
changed them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import close_to, each_close
from twintrain.diagnosis.replay.tolerances import (
    BY_CHANCE,
    HALF,
    PULLED,
    RECOGNISED,
    SAME_ROW,
    SCALED,
    STANDARDISED_DECIMALS,
    TINY,
    UNCHANGED,
)
from twintrain.diagnosis.watch.frozen_rows import Rows, as_rows, keys_of
from twintrain.diagnosis.watch.trace import Evaluation, Step

Fed = Sequence[Step | Evaluation]


@dataclass
class Stream:
    """A sequence of batches, read against the data they come from.

    Attributes:
        sizes: rows per batch; 0 for a step on the same batch as the one before.
        rows: per batch, the position of each of its rows in the data; -1 where it was not
            recognised.
        change: 'none', 'scaled' (x' = a x + b), 'rounded', 'fixed' (another function of the row) or
            'random'.
        detail: a and b, or the type rounded to.
        values: per batch, what the model got, a row per example.
    """

    sizes: list[int]
    rows: list[np.ndarray]
    change: str = "none"
    detail: tuple[float, float] | str | None = None
    values: list[np.ndarray] = field(default_factory=list)

    def part(self, start: int, stop: int) -> np.ndarray:
        """Rows of some of the batches, in order."""
        pairs = zip(self.rows[start:stop], self.sizes[start:stop], strict=True)
        chosen = [rows for rows, size in pairs if size]
        return np.concatenate(chosen) if chosen else np.empty(0, int)


def read_stream(fed: Fed, data: Rows, epoch: int) -> Stream:
    """Read what was fed to a model against the data.

    Args:
        fed: steps or evaluations.
        data: the split they should come from.
        epoch: batches in the first epoch.
    """
    inputs, like = [_inputs_of(step) for step in fed], data.part(0)
    values = [as_rows(part, like) for part in inputs]
    register = Register(data)
    stream = Stream(_sizes(fed, values), [], values=values)
    targets = [_pulled_targets(step) for step in fed]
    direct = register.find([keys_of(part, like) for part in inputs], targets, epoch)
    if all((found >= 0).all() for found in direct):
        stream.rows = direct
        return stream
    stream.rows = _indirectly(fed, values, data, direct, register, epoch)
    stream.change, stream.detail = _change(values, stream.rows, as_rows(like), epoch)
    return stream


def forget_stale(fed: Fed) -> None:
    """Forget elements that inputs are not made of: where a side takes its data out of the data set
    once and slices it by hand, the last element stands at every step.
    """
    whole = [
        step for step in fed if step.element is not None and not getattr(step, "partly", False)
    ]
    if 2 * len({id(step.element) for step in whole}) >= len(whole):
        return  # a step or two for each
    stale = [
        step.element
        for step, after in pairwise(whole)
        if step.element is after.element and not _same_inputs(step, after)
    ]
    for step in whole:
        if any(step.element is element for element in stale):
            step.element = None


def _same_inputs(one: Step | Evaluation, other: Step | Evaluation) -> bool:
    return np.array_equal(as_rows(one.inputs), as_rows(other.inputs))


def _inputs_of(step: Step | Evaluation) -> Any:
    """What a batch is recognised by: the inputs of the model, or what was pulled from the data
    where only parts of the model are called.
    """
    element = step.element[0] if isinstance(step.element, tuple) else step.element
    return element if getattr(step, "partly", False) and element is not None else step.inputs


def _sizes(fed: Fed, values: list[np.ndarray]) -> list[int]:
    """Rows per batch; steps of several parts of a model may be made on one and the same batch."""
    sizes = []
    for number, (step, batch) in enumerate(zip(fed, values, strict=True)):
        before = fed[number - 1] if number else None
        again = before is not None and step.element is not None and step.element is before.element
        parts = again and (getattr(step, "partly", False) or getattr(before, "partly", False))
        sizes.append(0 if parts else len(batch))
    return sizes


class Register:
    """Where each row stands in the data, by what it is recognised by.

    Equal inputs may stand at several places. Those whose target is the one that was pulled with
    them come first, then those behind the row before; none is given out twice in an epoch while
    another is left.
    """

    def __init__(self, data: Rows) -> None:
        targets = data.part(1)
        self._targets = None if targets is None else keys_of(targets)
        self._places = index_of(data.keys)

    def find(
        self, batches: list[list[bytes]], targets: list[list[bytes] | None], epoch: int
    ) -> list[np.ndarray]:
        """Per batch, the place of each of its rows; -1 where it is not in the data.

        Args:
            batches: keys of inputs.
            targets: keys of the targets that were pulled with them, None where none were.
            epoch: batches in an epoch.
        """
        found = []
        left: dict[bytes, list[int]] = {}
        last = -1
        for number, (keys, pulled) in enumerate(zip(batches, targets, strict=True)):
            if number % max(1, epoch) == 0:
                left, last = {}, -1
            rows = np.full(len(keys), -1)
            for position, key in enumerate(keys):
                if key in self._places:
                    target = None if pulled is None else pulled[position]
                    last = rows[position] = self._take(left, key, target, last)
            found.append(rows)
        return found

    def _take(
        self, left: dict[bytes, list[int]], key: bytes, target: bytes | None, last: int
    ) -> int:
        places = self._places[key]
        if len(places) == 1:
            return places[0]
        if not left.get(key):
            left[key] = list(places)
        options = left[key]
        if target is not None and self._targets is not None:
            options = [place for place in options if self._targets[place] == target] or options
        chosen = next((place for place in options if place > last), options[0])
        left[key].remove(chosen)
        return chosen


def index_of(keys: Sequence[bytes]) -> dict[bytes, list[int]]:
    """Per key, all places where it stands."""
    index: dict[bytes, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        index[key].append(position)
    return index


def _pulled_targets(step: Step | Evaluation) -> list[bytes] | None:
    element = step.element
    if not isinstance(element, tuple) or len(element) < 2:
        return None
    parts = keras.tree.flatten(element[1])
    if not parts or any(part.shape[:1] != (step.size,) for part in parts):
        return None
    return keys_of(element[1])


def _indirectly(
    fed: Fed,
    values: list[np.ndarray],
    data: Rows,
    direct: list[np.ndarray],
    register: Register,
    epoch: int,
) -> list[np.ndarray]:
    """Recognise rows that were changed: by the element they were made of, their targets, or their
    shape; whatever recognises most.
    """
    targets = [_pulled_targets(step) for step in fed]
    pulled = register.find([_pulled_keys(step) for step in fed], targets, epoch)
    # Judged by most batches: augmentation leaves some rows as they were.
    base = pulled if _share(pulled) > max(PULLED, _share(direct)) else direct
    if _share(base) < RECOGNISED:
        return _by_targets(fed, data) or _by_shape(values, data) or base
    return base


def _find(keys: list[bytes], index: dict[bytes, list[int]]) -> np.ndarray:
    taken: dict[bytes, int] = defaultdict(int)
    rows = np.full(len(keys), -1)
    for position, key in enumerate(keys):
        if key in index:  # equal rows are dealt out in turn
            rows[position] = index[key][taken[key] % len(index[key])]
            taken[key] += 1
    return rows


def _pulled_keys(step: Step | Evaluation) -> list[bytes]:
    """What the rows of the data-set element are recognised by that the inputs were made of."""
    element = step.element[0] if isinstance(step.element, tuple) else step.element
    if element is None or keras.tree.flatten(element)[0].shape[:1] != (step.size,):
        return [b""] * step.size
    return keys_of(element)


def _share(rows: list[np.ndarray]) -> float:
    joined = np.concatenate(rows) if rows else np.empty(0)
    return float((joined >= 0).mean()) if joined.size else 0.0


def _by_targets(fed: Fed, data: Rows) -> list[np.ndarray] | None:
    """Recognise rows by their targets, where these are all different (regression) or come in the
    data's own order.
    """
    targets = data.part(1)
    if targets is None or not all(
        isinstance(step.element, tuple) and len(step.element) > 1 for step in fed
    ):
        return None
    seen = [keys_of(step.element[1]) for step in fed]
    known = keys_of(targets)
    if len(set(known)) == len(known):
        index = index_of(known)
        found = [_find(keys, index) for keys in seen]
        return found if _share(found) > RECOGNISED else None
    return _in_order(seen, known)


def _in_order(seen: list[list[bytes]], known: list[bytes]) -> list[np.ndarray] | None:
    """The rows of batches whose targets come in the data's own order, over and over; None also
    where these are so few, or so much alike, that any rows could have them.
    """
    counts = Counter(known)
    shares = [counts[key] / len(known) for keys in seen for key in keys]
    if np.prod(shares) > BY_CHANCE:
        return None
    position = 0
    found = []
    for keys in seen:
        if position + len(keys) > len(known):
            position = 0
        if known[position : position + len(keys)] != keys:
            return None
        found.append(np.arange(position, position + len(keys)))
        position = (position + len(keys)) % len(known)
    return found


def _by_shape(values: list[np.ndarray], data: Rows) -> list[np.ndarray] | None:
    """Recognise rows up to one scale and offset: each is standardised by itself."""
    reference = as_rows(data.part(0))
    if not values or values[0].shape[1] != reference.shape[1] or reference.shape[1] < 4:
        return None
    index = index_of(_standardised(reference))
    found = [_find(_standardised(batch), index) for batch in values]
    return found if _share(found) > RECOGNISED else None


def _standardised(rows: np.ndarray) -> list[bytes]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    spread = np.maximum(centred.std(axis=1, keepdims=True), TINY)
    return [row.tobytes() for row in np.round(centred / spread, STANDARDISED_DECIMALS) + 0.0]


def _change(
    values: list[np.ndarray], rows: list[np.ndarray], reference: np.ndarray, epoch: int
) -> tuple[str, tuple[float, float] | str | None]:
    if len({batch.shape[1] for batch in values}) > 1:
        return "fixed", None
    got, ids = np.concatenate(values), np.concatenate(rows)
    if got.shape[1] != reference.shape[1]:
        return "fixed", None
    known = ids >= 0
    if known.mean() > RECOGNISED:
        found = _simple_change(reference[ids[known]], got[known])
        # Rows that were changed are missing among the recognised ones; rows that came on top of
        # these are not.
        on_top = known.all() or len(np.unique(ids[known])) == len(reference)
        if found is not None and (found[0] != "none" or on_top):
            return found
    return ("random" if _varies(values, rows, epoch) else "fixed"), None


def _simple_change(
    x: np.ndarray, y: np.ndarray
) -> tuple[str, tuple[float, float] | str | None] | None:
    """How rows x of the data became y, where they stayed, were rounded or scaled."""
    if np.array_equal(x, y):
        return "none", None
    for name in HALF:
        rounded = np.asarray(keras.ops.cast(keras.ops.cast(x, name), "float32"))
        if np.array_equal(rounded, y):
            return "rounded", name
    if close_to(x, y, UNCHANGED):
        return "none", None
    a, b = np.polyfit(x.ravel(), y.ravel(), 1) if x.std() > 0 else (1.0, 0.0)
    largest = max(float(np.abs(y).max()), TINY)
    if np.abs(a * x + b - y).max() < SCALED * largest:
        return "scaled", (float(a), float(b))
    return None


def _varies(values: list[np.ndarray], rows: list[np.ndarray], epoch: int) -> bool:
    """Whether one row looks different in two epochs."""
    first, second = values[:epoch], values[epoch:]
    if not first or not second:
        return False
    ids_first, ids_second = np.concatenate(rows[:epoch]), np.concatenate(rows[epoch:])
    a, b = np.concatenate(first), np.concatenate(second)
    if (ids_first >= 0).mean() > RECOGNISED and (ids_second >= 0).mean() > RECOGNISED:
        where = {int(row): position for position, row in enumerate(ids_second)}
        pairs = [(i, where[int(row)]) for i, row in enumerate(ids_first) if int(row) in where]
        return any(not each_close(a[i], b[j], SAME_ROW) for i, j in pairs)
    in_both = {row.tobytes() for row in a} & {row.tobytes() for row in b}
    return len(in_both) < RECOGNISED * min(len(a), len(b))


def true_parts(step: Step | Evaluation, rows: np.ndarray, data: Rows) -> tuple[Any, Any]:
    """Targets and weights of a batch as the data has them; what was pulled where its rows were not
    recognised, and what it was fed where those are other rows'.
    """
    if isinstance(step, Step) and step.fed is not None:
        return step.fed
    if len(rows) == step.size and (rows >= 0).all() and data.part(1) is not None:

        def pick(part: Any) -> Any:
            return None if part is None else keras.tree.map_structure(lambda a: a[rows], part)

        return pick(data.part(1)), pick(data.part(2))
    element = step.element
    if (
        isinstance(element, tuple)
        and len(element) > 1
        and len(keras.tree.flatten(element[1])[0]) == step.size
    ):
        return element[1], element[2] if len(element) > 2 else None
    return None, None
