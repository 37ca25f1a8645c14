"""What may go from a root: results that only runs of long ago have made or used.

A run's results are what its node executions made or took over. Those of the newest runs stay, and
so does every report that a record refers to. What goes is made anew if it is ever asked for again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2

from twintrain.trend.record_store import RecordStore

_RUN = "pipeline_run"  # TFX's type of the context that a run's executions and artifacts are in
# Of what a run that went through has made or taken over; its class takes seconds to import.
END = "twintrain.ComparisonReport"
PREPARED_END = "twintrain.OverlapRecord"  # likewise of a run that only prepares data
_LOGS = ("*.log", "*.events.jsonl", "*.request.json")


@dataclass(frozen=True)
class Leftovers:
    """Files and folders that may go, and how much they hold.

    Attributes:
        runs: how many have gone through on the root.
        places: of results and logs.
        size: bytes in all of them.
    """

    runs: int
    places: list[Path]
    size: int

    def remove(self) -> None:
        """Delete them.

        Raises:
            OSError: one cannot be deleted.
        """
        for place in self.places:
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink()


def leftovers(root: Path, keep: int) -> Leftovers:
    """What runs have left that the newest `keep` which went through do not use, nor any that was
    started after the first of these.

    Args:
        root: nothing may be running on it.
        keep: at least 1.
    """
    database = root / "metadata.sqlite"
    if not database.exists():
        return Leftovers(0, [], 0)
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    store = MetadataStore(config)
    runs = sorted(store.get_contexts_by_type(_RUN), key=lambda run: run.create_time_since_epoch)
    made = [store.get_artifacts_by_context(run.id) for run in runs]
    kinds = [{one.type for one in some} for some in made]
    # A root that only `compare` and `explain` have used holds what these had prepared.
    end = END if any(END in some for some in kinds) else PREPARED_END
    through = [place for place, some in enumerate(kinds) if end in some]
    first = through[-keep] if len(through) >= keep else 0
    used = {artifact.uri for some in made[first:] for artifact in some}
    used |= {record.report for record in RecordStore(str(root / "records")).all()}
    below = root / "artifacts"
    places = [
        Path(artifact.uri)
        for artifact in store.get_artifacts()
        if artifact.uri not in used and below in Path(artifact.uri).parents
    ]
    logs = _old_logs(root, len(runs) - first)
    there = sorted({*(place for place in places if place.exists()), *logs})
    return Leftovers(len(through), there, sum(map(_size, there)))


def _old_logs(root: Path, keep: int) -> Iterator[Path]:
    """Logs of all runs but the newest: their names begin with when it began."""
    for pattern in _LOGS:
        yield from sorted((root / "logs").glob(pattern))[:-keep]


def _size(place: Path) -> int:
    files = place.rglob("*") if place.is_dir() else [place]
    return sum(file.stat().st_size for file in files if file.is_file())
