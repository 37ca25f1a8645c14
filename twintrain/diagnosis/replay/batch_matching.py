"""What each side fed its model: which rows, in which order, how many at a time, and whether it
changed them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from twintrain.diagnosis.watch.frozen_rows import Rows, as_rows, keys_of
from twintrain.diagnosis.watch.trace import Evaluation, Step

Fed = Sequence[Step | Evaluation]


@dataclass
class Stream:
    """A sequence of batches, read against the data they come from.

    Attributes:
        sizes: rows per batch.
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
        chosen = self.rows[start:stop]
        return np.concatenate(chosen) if chosen else np.empty(0, int)


def read_stream(fed: Fed, data: Rows, epoch: int) -> Stream:
    """Read what was fed to a model against the data.

    Args:
        fed: steps or evaluations.
        data: the split they should come from.
        epoch: batches in the first epoch.
    """
    values = [as_rows(step.inputs) for step in fed]
    index: dict[bytes, list[int]] = defaultdict(list)
    for position, key in enumerate(data.keys):
        index[key].append(position)
    stream = Stream([len(batch) for batch in values], [], values=values)
    direct = [_find(keys_of(step.inputs), index) for step in fed]
    if all((found >= 0).all() for found in direct):
        stream.rows = direct
        return stream
    pulled = [_pulled(step, index) for step in fed]
    # Judged by most batches: augmentation leaves some rows as they were.
    base = pulled if _share(pulled) > max(0.5, _share(direct)) else direct
    if _share(base) < 0.9:
        base = _by_targets(fed, data) or _by_shape(values, data) or base
    stream.rows = base
    stream.change, stream.detail = _change(values, base, as_rows(data.part(0)), epoch)
    return stream


def _find(keys: list[bytes], index: dict[bytes, list[int]]) -> np.ndarray:
    taken: dict[bytes, int] = defaultdict(int)
    rows = np.full(len(keys), -1)
    for position, key in enumerate(keys):
        if key in index:  # equal rows are dealt out in turn
            rows[position] = index[key][taken[key] % len(index[key])]
            taken[key] += 1
    return rows


def _pulled(step: Step | Evaluation, index: dict[bytes, list[int]]) -> np.ndarray:
    """The rows of the data-set element the inputs were made of."""
    element = step.element[0] if isinstance(step.element, tuple) else step.element
    if element is None or keras.tree.flatten(element)[0].shape[:1] != (step.size,):
        return np.full(step.size, -1)
    return _find(keys_of(element), index)


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
        index = {key: [position] for position, key in enumerate(known)}
        found = [_find(keys, index) for keys in seen]
        return found if _share(found) > 0.9 else None
    position, found = 0, []
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
    index: dict[bytes, list[int]] = defaultdict(list)
    reference = as_rows(data.part(0))
    if not values or values[0].shape[1] != reference.shape[1] or reference.shape[1] < 4:
        return None
    for position, key in enumerate(_standardised(reference)):
        index[key].append(position)
    found = [_find(_standardised(batch), index) for batch in values]
    return found if _share(found) > 0.9 else None


def _standardised(rows: np.ndarray) -> list[bytes]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    spread = np.maximum(centred.std(axis=1, keepdims=True), 1e-12)
    return [row.tobytes() for row in np.round(centred / spread, 2) + 0.0]


def _change(
    values: list[np.ndarray], rows: list[np.ndarray], reference: np.ndarray, epoch: int
) -> tuple[str, tuple[float, float] | str | None]:
    got, ids = np.concatenate(values), np.concatenate(rows)
    if got.shape[1] != reference.shape[1]:
        return "fixed", None
    known = ids >= 0
    if known.mean() > 0.9:
        x, y = reference[ids[known]], got[known]
        for name in ("float16", "bfloat16"):
            rounded = np.asarray(keras.ops.cast(keras.ops.cast(x, name), "float32"))
            if np.array_equal(rounded, y):
                return "rounded", name
        a, b = np.polyfit(x.ravel(), y.ravel(), 1) if x.std() > 0 else (1.0, 0.0)
        scale = max(float(np.abs(y).max()), 1e-12)
        if np.abs(a * x + b - y).max() < 1e-4 * scale:
            return "scaled", (float(a), float(b))
    return ("random" if _varies(values, rows, epoch) else "fixed"), None


def _varies(values: list[np.ndarray], rows: list[np.ndarray], epoch: int) -> bool:
    """Whether one row looks different in two epochs."""
    first, second = values[:epoch], values[epoch:]
    if not first or not second:
        return False
    ids_first, ids_second = np.concatenate(rows[:epoch]), np.concatenate(rows[epoch:])
    a, b = np.concatenate(first), np.concatenate(second)
    if (ids_first >= 0).mean() > 0.9 and (ids_second >= 0).mean() > 0.9:
        where = {int(row): position for position, row in enumerate(ids_second)}
        pairs = [(i, where[int(row)]) for i, row in enumerate(ids_first) if int(row) in where]
        return any(not np.allclose(a[i], b[j], rtol=1e-4, atol=1e-5) for i, j in pairs)
    return len({row.tobytes() for row in a} & {row.tobytes() for row in b}) < 0.9 * min(
        len(a), len(b)
    )


def true_parts(step: Step | Evaluation, rows: np.ndarray, data: Rows) -> tuple[Any, Any]:
    """Targets and weights of a batch as the data has them; what was pulled where its rows were not
    recognised.
    """
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
