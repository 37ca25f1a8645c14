"""Test examples that were trained on: the same inputs in both splits, or nearly the same.

    found = overlap(train, test)
    found.share            # of the test examples
    found.usual_share      # of training examples that repeat another training example

Where a table has few columns of few values, most rows repeat another one, and nothing is wrong.
What is wrong is a test split that repeats training examples more often than these repeat each
other: the splits were not drawn apart.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import binom

from twintrain.data.columns import BARE, as_columns
from twintrain.data.example_store import ExampleStore
from twintrain.data.near_rows import FEWEST_COLUMNS, RowHashes, features_of, near_rows
from twintrain.errors import TwintrainError

# Images or signals of each split that are held against all training examples for near duplicates.
LOOKED_AT = 1000
STANDS_OUT = 0.1  # share of test rows beyond what is usual from which it is told
NEAR = 0.15  # distance of two that are nearly the same, in units of the spread within one of them
_PROJECTED = 64  # dimensions
_BLOCK = 2048  # examples in memory at a time, at most
_BYTES = 64 << 20  # that the floats of a block may take
_SEEN = 1 << 14  # values of a tensor that projections look at; more are sampled
_CHANCE = 0.001  # of stopping although there is no more in common than allowed
_FEWEST_VALUES = 64  # of less it cannot be told that two are nearly the same
_TOLD = 3  # pairs


class Overlap(BaseModel):
    """What a test split has in common with the training split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tested: int = Field(description="test examples")
    repeated: int = Field(description="of them, those with the very inputs of a training example")
    relabelled: int = Field(
        description="of these, those whose target no training example with these inputs has"
    )
    near_looked_at: int = Field(
        description="test examples held against all training examples for near duplicates; 0 where "
        "inputs are no images or signals"
    )
    near: int = Field(description="of them, those that are nearly a training example")
    usual_repeated: float = Field(
        description="share of training examples with the inputs of another one"
    )
    usual_near: float = Field(description="share of those that are nearly another one")
    usual_looked_at: int = Field(description="training examples that share was counted on")
    near_rows: float | None = Field(
        None,
        description="of a table of five columns or more, share of test rows that are a training "
        "row in all columns but one; told, and never a reason to stop: a customer's rows of two "
        "months may be so too",
    )
    usual_near_rows: float = Field(
        0.0, description="share of training rows that are another one in all columns but one"
    )
    pairs: list[tuple[str, str]] = Field(description="a few test examples, and what they repeat")

    @property
    def share(self) -> float:
        """Of test examples that are, or nearly are, training examples."""
        near = self.near / self.near_looked_at if self.near_looked_at else 0.0
        return min(1.0, self.repeated / self.tested + near)

    @property
    def usual_share(self) -> float:
        """Of training examples that are, or nearly are, another training example."""
        return min(1.0, self.usual_repeated + self.usual_near)

    @property
    def rows_stand_out(self) -> bool:
        """Whether clearly more test rows are nearly a training row than training rows are nearly
        another one.
        """
        return self.near_rows is not None and self.near_rows > self.usual_near_rows + STANDS_OUT

    def exceeds(self, limit: float) -> bool:
        """Whether the test split repeats training examples by more than `limit` (a share) above
        what is usual in the training split: were it exactly that, so many would be found with a
        chance below one in a thousand (one-sided binomial test).
        """
        usual, count = self.usual_share, self.near_looked_at or self.tested
        # The usual share was counted on examples too.
        usual += 3 * math.sqrt(usual * (1 - usual) / self.usual_looked_at)
        found = round(self.share * count)
        allowed = min(1.0, usual + limit)
        return float(binom.sf(found - 1, count, allowed)) < _CHANCE

    def describe(self) -> str:
        """A sentence with all of it."""
        parts = [
            f"{self.repeated:,} of {self.tested:,} test examples have the inputs of a training "
            "example"
        ]
        if self.near:
            parts.append(
                f"{self.near:,} of {self.near_looked_at:,} looked at are nearly training examples"
            )
        if self.relabelled:
            parts.append(f"{self.relabelled:,} of the first have another target there")
        told = ", ".join(f"{test} and {train}" for test, train in self.pairs)
        usual = (
            f"in the training split {self.usual_share:.1%} are, or nearly are, another of its "
            "examples"
        )
        rows = ""
        if self.near_rows is not None and self.rows_stand_out:
            rows = (
                f" Of test rows {self.near_rows:.1%} are a training row in all columns but one "
                f"(of training rows {self.usual_near_rows:.1%} another one)."
            )
        return f"{'; '.join(parts)}{f' ({told})' if told else ''}; {usual}.{rows}"


def overlap(train: ExampleStore, test: ExampleStore) -> Overlap:
    """Look for test examples among the training examples.

    Inputs are the same where every bit of every column is. Two tensors without names are nearly the
    same where, each less its mean, their distance is below 15 % of the norm of one: an image that
    was brightened, or saved again as a JPEG of quality 75 or more; of MNIST's digits no two are
    that near. Of each split `LOOKED_AT` examples, spread evenly, are looked at for that; near ones
    are found by random projections and then measured. Of rows of a table it is told how many are
    the same in all columns but one (`near_rows`).

    Args:
        train: the training split.
        test: the test split, with the same columns.
    """
    ours, theirs = _Keys.of(train), _Keys.of(test)
    order = np.argsort(ours.inputs, kind="stable")
    repeated = np.isin(theirs.inputs, ours.inputs)
    at = np.searchsorted(ours.inputs[order], theirs.inputs[repeated])
    pairs = list(zip(test.ids[repeated], train.ids[order[at]], strict=True))
    _, number, times = np.unique(ours.inputs, return_inverse=True, return_counts=True)
    twice = times[number] > 1
    near, looked_at, usual, counted = [], 0, 0.0, len(train)
    if _has_an_inside(train):
        base = _Projected.of(train)
        probe, other = _spread(test), _spread(train)
        looked_at, counted = len(probe), len(other)
        near = [pair for pair in base.near(test, probe, same=False) if not repeated[pair[0]]]
        others = [pair for pair in base.near(train, other, same=True) if not twice[pair[0]]]
        usual = len(others) / len(other)
    rows, usual_rows = None, 0.0
    if len(features_of(train.columns)) >= FEWEST_COLUMNS:
        nearly, among = near_rows(_hashes(train), _hashes(test))
        rows = float((nearly & ~repeated).mean())
        usual_rows = float((among & ~twice).mean())
    pairs += [(test.ids[one], train.ids[two]) for one, two in near]
    return Overlap(
        tested=len(test),
        repeated=int(repeated.sum()),
        relabelled=int((repeated & ~np.isin(theirs.whole, ours.whole)).sum()),
        near_looked_at=looked_at,
        near=len(near),
        usual_repeated=float(twice.mean()),
        usual_near=usual,
        usual_looked_at=counted,
        near_rows=rows,
        usual_near_rows=usual_rows,
        pairs=[tuple(name.decode(errors="replace") for name in pair) for pair in pairs[:_TOLD]],
    )


def check_overlap(found: Overlap, limit: float) -> None:
    """Hold what was found to what a recipe allows.

    Args:
        found: of the two splits.
        limit: a share; see `Overlap.exceeds`.

    Raises:
        TwintrainError: the splits have more in common.
    """
    if found.exceeds(limit):
        raise TwintrainError(
            f"The test split holds training examples: {found.describe()}",
            "What is measured on them was learned by heart. Split the data anew, so that no "
            "example is in both, or allow it with comparison.overlap_limit (a share of the test "
            "examples; 1 never stops).",
        )


def with_overlap(data: dict[str, Any], found: Overlap) -> dict[str, Any]:
    """What is told of each split, with that of the test split beside it."""
    return data | {"eval": data["eval"] | {"overlap": found.model_dump(mode="json")}}


@dataclass(frozen=True)
class _Keys:
    """Of every example a hash of its inputs and one of inputs and target, uint64 [n]."""

    inputs: npt.NDArray[np.uint64]
    whole: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, store: ExampleStore) -> _Keys:
        found = np.empty((2, len(store)), np.uint64)
        targets = np.ascontiguousarray(store.targets)
        for block in _blocks(store):
            columns = as_columns(store.values(block))
            rows = [np.ascontiguousarray(columns[name]) for name in sorted(columns)]
            for place, number in enumerate(block):
                digest = hashlib.blake2b(digest_size=8)
                for column in rows:
                    digest.update(column[place].tobytes())
                found[0, number] = int.from_bytes(digest.digest(), "little")
                digest.update(targets[number].tobytes())
                found[1, number] = int.from_bytes(digest.digest(), "little")
        return cls(found[0], found[1])


@dataclass(frozen=True)
class _Projected:
    """A store's tensors, less their means, seen from a few random directions.

    By Johnson and Lindenstrauss (1984), distances stay what they were within some 20 percent.
    """

    store: ExampleStore
    seen: npt.NDArray[np.int64]
    directions: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]

    @classmethod
    def of(cls, store: ExampleStore) -> _Projected:
        rng, values = np.random.default_rng(0), math.prod(store.shape)
        seen = np.sort(rng.permutation(values)[:_SEEN])
        normal = rng.standard_normal((len(seen), _PROJECTED), np.float32)
        directions = normal * np.float32(math.sqrt(values / len(seen) / _PROJECTED))
        parts = [_centred(store, block)[:, seen] @ directions for block in _blocks(store)]
        return cls(store, seen, directions, np.concatenate(parts))

    def near(
        self, of: ExampleStore, probe: npt.NDArray[np.integer], same: bool
    ) -> list[tuple[int, int]]:
        """Which of the `probe` of a store are nearly an example of this one, and which.

        Args:
            of: the store.
            probe: places in it.
            same: it is this very store: none is near to itself.
        """
        tensors = _centred(of, probe)
        norms = (tensors**2).sum(axis=1)
        seen = tensors[:, self.seen] @ self.directions
        best, place = np.full(len(probe), np.inf, np.float32), np.zeros(len(probe), np.int64)
        for block in _blocks(self.store):
            points = self.points[block]
            apart = (seen**2).sum(axis=1)[:, None] + (points**2).sum(axis=1) - 2 * seen @ points.T
            if same:
                apart[probe[:, None] == block] = np.inf
            nearest = apart.argmin(axis=1)
            found = apart[np.arange(len(probe)), nearest]
            place = np.where(found < best, block[nearest], place)
            best = np.minimum(found, best)
        # Twice the limit: what projecting may add to a distance.
        maybe = np.flatnonzero((best <= 2 * NEAR**2 * norms) & (norms > 0))
        found = []
        for one in maybe:
            other = _centred(self.store, place[one : one + 1])[0]
            if ((tensors[one] - other) ** 2).sum() <= NEAR**2 * norms[one]:
                found.append((int(probe[one]), int(place[one])))
        return found


def _hashes(store: ExampleStore) -> RowHashes:
    """Of every example a hash of each input column."""
    features = features_of(store.columns)
    found = RowHashes(len(store), len(features))
    for block in _blocks(store):
        columns = as_columns(store.values(block))
        found.fill(block, [[columns[name] for name in names] for names in features])
    return found


def _has_an_inside(store: ExampleStore) -> bool:
    """Whether inputs are one tensor of so many values that two may be nearly the same."""
    return set(store.columns) == {BARE} and math.prod(store.shape) >= _FEWEST_VALUES


def _centred(store: ExampleStore, places: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    flat = np.asarray(store.values(places), np.float32).reshape(len(places), -1)
    return flat - flat.mean(axis=1, keepdims=True)


def _spread(store: ExampleStore) -> npt.NDArray[np.int64]:
    """At most `LOOKED_AT` places, spread evenly, and no more than may be in memory."""
    most = min(LOOKED_AT, _at_a_time(store))
    return np.unique(np.linspace(0, len(store) - 1, min(len(store), most)).astype(np.int64))


def _at_a_time(store: ExampleStore) -> int:
    """How many examples are held in memory as floats."""
    values = sum(math.prod(column.shape) for column in store.columns.values())
    return max(1, min(_BLOCK, _BYTES // (4 * values)))


def _blocks(store: ExampleStore) -> Iterator[npt.NDArray[np.int64]]:
    size = _at_a_time(store)
    for start in range(0, len(store), size):
        yield np.arange(start, min(start + size, len(store)))
