"""Which rows of a split were used, as counts that can be compared and as words.

Rows with equal inputs cannot be told apart, so rows are counted by the first place at which their
inputs stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras
import numpy as np

from twintrain.diagnosis.replay.tolerances import SCATTERED
from twintrain.diagnosis.watch.frozen_rows import Rows

# Places that are listed, and classes whose share is.
FEW_PLACES = 6
FEW_CLASSES = 12


class RowCounter:
    """Counts rows of one split.

    Attributes:
        data: the split.
        capacity: at each place the rows with these inputs where they stand first, 0 elsewhere.
    """

    def __init__(self, data: Rows) -> None:
        self.data = data
        first: dict[bytes, int] = {}
        self._first = np.array([first.setdefault(key, i) for i, key in enumerate(data.keys)], int)
        self.capacity = self.count([np.arange(len(data))])

    def count(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """How often each row occurs in batches of places; rows that were not recognised (-1) are
        left out.
        """
        joined = np.concatenate([np.empty(0, int), *batches]).astype(int)
        return np.bincount(self._first[joined[joined >= 0]], minlength=len(self.data))

    def places(self, counts: np.ndarray) -> np.ndarray:
        """Places that were counted, in order; of equal rows the first ones."""
        seen = np.zeros(len(self.data), int)
        found = []
        for place, first in enumerate(self._first):
            if seen[first] < counts[first]:
                found.append(place)
                seen[first] += 1
        return np.array(found, int)

    def say(self, counts: np.ndarray, kind: str = "rows") -> str:
        """How many rows were counted, which, and how their labels are shared out."""
        places = self.places(counts)
        of = self.data.amount.replace("rows", kind)
        if not len(places):
            return f"none of {of}"
        labels = _say_labels(places, self.data)
        which = "" if len(places) == len(self.data) else f": {say_places(places)}"
        number = "all" if len(places) == len(self.data) else f"{len(places):,}"
        return f"{number} of {of}{which}{labels}"

    def unevenness(self, counts: np.ndarray) -> float:
        """How far the labels of the rows counted are from those of all, as the share that would
        have to change; 0.0 where the data has no classes.
        """
        labels = class_labels(self.data)
        if labels is None or not counts.sum():
            return 0.0
        chosen = labels[self.places(counts)]
        return 0.5 * sum(
            abs(float((chosen == label).mean()) - float((labels == label).mean()))
            for label in np.unique(labels)
        )

    def missing_labels(self, counts: np.ndarray) -> list[int]:
        """Classes of which no row was counted."""
        labels = class_labels(self.data)
        if labels is None:
            return []
        chosen = set(labels[self.places(counts)])
        return [int(label) for label in np.unique(labels) if label not in chosen]


def is_consecutive(places: np.ndarray) -> bool:
    """Whether places in order are one piece of the data, up to some rows."""
    return len(places) > 1 and len(places) > (1 - SCATTERED) * (places[-1] - places[0] + 1)


def say_places(places: Sequence[int] | np.ndarray) -> str:
    """'0-639', or '3, 5, 8, 9, 12, 15, ...'."""
    pieces: list[list[int]] = []
    for place in map(int, places):
        if pieces and place == pieces[-1][1] + 1:
            pieces[-1][1] = place
        else:
            pieces.append([place, place])
    if len(pieces) > FEW_PLACES // 2:
        few = ", ".join(str(int(place)) for place in places[:FEW_PLACES])
        return few + (", ..." if len(places) > FEW_PLACES else "")
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in pieces)


def class_labels(data: Rows) -> np.ndarray | None:
    """The class number of each row; None where the targets are not classes, or there are many."""
    parts = [np.asarray(part) for part in keras.tree.flatten(data.part(1))]
    if len(parts) != 1 or parts[0].dtype.kind not in "biuf":
        return None
    targets = parts[0].reshape(len(parts[0]), -1)
    if targets.shape[1] > 1:
        if not (np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all()):
            return None
        labels = targets.argmax(axis=1)
    else:
        labels = targets[:, 0]
    if not np.isfinite(labels).all() or (labels != np.round(labels)).any():
        return None
    return labels.astype(int) if len(np.unique(labels)) <= FEW_CLASSES else None


def _say_labels(places: np.ndarray, data: Rows) -> str:
    labels = class_labels(data)
    if labels is None:
        return ""
    chosen = labels[places]
    shares = ", ".join(f"{k}: {(chosen == k).mean():.0%}" for k in np.unique(labels))
    return f" (labels {shares})"
