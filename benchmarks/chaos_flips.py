"""Bits that flip between two runs, for `chaos.py`: would the next run see it?

A run asks the same few functions about everything it finds on the disk. `flips` asks them itself,
which takes milliseconds; `reruns` flips few bits and lets whole runs answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.chaos_run import REPOSITORY, Ended, Ground, Trial, differing

_NOT_READ = "not read by a run"


def flip_all(
    undisturbed: Ground, expected: dict[str, Any], most: int, seed: int
) -> Iterator[Trial]:
    """As `flips`, on the root of the undisturbed run."""
    yield from flips(undisturbed.root, most, seed)


def flips(root: Path, most: int, seed: int) -> Iterator[Trial]:
    """Flip a bit, ask what a run would ask, and flip it back.

    Every file below the root is as likely as every other, and in it every byte.
    """
    chance, reader = Random(seed), Reader(root)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size)
    for _ in range(most):
        started = time.monotonic()
        path = chance.choice(files)
        with flipped(path, chance) as where:
            said = reader.said(path)
        wrong = "" if said else "nobody notices"
        what = f"{path.relative_to(root)}, {where}"
        yield Trial(said or "silent", what, wrong, time.monotonic() - started, shown=False)


@contextmanager
def flipped(path: Path, chance: Random) -> Iterator[str]:
    """A file with one bit turned over; it is turned back afterwards.

    Yields:
        which bit.
    """
    place, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
    flip(path, place, bit)
    try:
        yield f"bit {bit} of byte {place:,}"
    finally:
        flip(path, place, bit)


def flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ (1 << bit)]))


class Reader:
    """What a run asks of the files on a root before it believes them.

    Args:
        root: of a run that went through.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._rooms: dict[str, Callable[[Path], str]] = {
            "artifacts": self._artifact,
            "metadata.sqlite": self._metadata,
            "metadata.sqlite.sha256": self._metadata,
            "records": self._records,
            "pushed": self._pushed,
            "schemas": self._schema,
            "report": lambda _: "written anew by every run",
            "logs": lambda _: _NOT_READ,
        }
        self._known_records = self._read_records()

    def said(self, path: Path) -> str:
        """What becomes of a file that was changed; empty if a run would take it as it is."""
        return self._rooms[path.relative_to(self.root).parts[0]](path)

    @cached_property
    def _artifacts(self) -> dict[str, Any]:
        """By the folder that each is in; of results that a run would take over."""
        from absl import logging
        from ml_metadata.metadata_store import MetadataStore
        from ml_metadata.proto import metadata_store_pb2
        from tfx.types import artifact_utils

        logging.set_verbosity(logging.ERROR)  # of types whose classes nobody needs here
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(self.root / "metadata.sqlite")
        store = MetadataStore(config)
        types = {kind.id: kind for kind in store.get_artifact_types()}
        return {
            proto.uri: artifact_utils.deserialize_artifact(types[proto.type_id], proto)
            for proto in store.get_artifacts()
        }

    def _artifact(self, path: Path) -> str:
        from pipelines.local.seals import fault

        owners = [one for uri, one in self._artifacts.items() if Path(uri) in path.parents]
        if not owners:
            return _NOT_READ
        return "made anew" if all(map(fault, owners)) else ""

    def _metadata(self, _: Path) -> str:
        from pipelines.local.places import look_at_metadata

        return self._refused(lambda: look_at_metadata(self.root / "metadata.sqlite"))

    def _records(self, _: Path) -> str:
        refused = self._refused(self._read_records)
        if refused or self._read_records() != self._known_records:
            return refused
        return "means the same"

    def _read_records(self) -> list[Any]:
        from twintrain.trend.record_store import RecordStore

        return RecordStore(str(self.root / "records")).all()

    def _pushed(self, path: Path) -> str:
        from twintrain.training.identity import Identity

        version = self.root / "pushed" / path.relative_to(self.root / "pushed").parts[0]
        return "counts no more" if Identity.altered(version) else ""

    def _schema(self, path: Path) -> str:
        """The copy is compared with what it was taken from; that is the user's own file."""
        from pipelines.config import RunConfig
        from twintrain.recipe.recipe import Recipe

        source = REPOSITORY / "data" / "schema.pbtxt"
        config = RunConfig(
            recipe=Recipe(), data=REPOSITORY / "data", schema_file=source, root=self.root
        )
        changed = path.read_bytes()
        config.with_pinned_schema()
        if path.read_bytes() == changed:
            return ""
        path.write_bytes(changed)  # it will be flipped back
        return "made anew"

    @staticmethod
    def _refused(read: Callable[[], object]) -> str:
        from twintrain.errors import TwintrainError

        try:
            read()
        except TwintrainError:
            return "refused in a sentence"
        return ""


def reruns(undisturbed: Ground, expected: dict[str, Any], most: int, seed: int) -> Iterator[Trial]:
    """Flip a bit and run again: the same figures, or a refusal in a sentence."""
    chance = Random(seed)
    ground = undisturbed.beside("reruns")
    ended = ground.run()
    if ended.status:
        yield Trial("end", "the run before", f"status {ended.status}: {ended.said[-400:]}")
        return
    for _ in range(most):
        rooms = sorted(path for path in ground.root.iterdir() if path.name != ".lock")
        room = chance.choice(rooms)
        below = [room] if room.is_file() else sorted(room.rglob("*"))
        files = [path for path in below if path.is_file() and path.stat().st_size]
        if not files:
            continue
        path = chance.choice(files)
        place, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
        flip(path, place, bit)
        ended = ground.run()
        if ended.status == 2:
            flip(path, place, bit)  # as its owner mends what a run refuses
        what = f"{path.relative_to(ground.root)}, bit {bit} of byte {place:,}"
        yield Trial(_how(ended.status), what, _rerun_wrong(ground, ended, expected), ended.seconds)


def _how(status: int) -> str:
    return {0: "went through", 2: "refused in a sentence"}.get(status, f"status {status}")


def _rerun_wrong(ground: Ground, ended: Ended, expected: dict[str, Any]) -> str:
    if ended.status == 0:
        return "; ".join(differing(expected, ground.figures())[:5])
    well = ended.status == 2 and ended.in_words
    return "" if well else f"status {ended.status}: {ended.said[-400:]}"
