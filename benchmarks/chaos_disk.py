"""Disks and neighbours, for `chaos.py`: a disk that fills up or is slow, two runs at once."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chaos_ends import SHIM
from benchmarks.chaos_run import Ended, Ground, Trial, differing

_DISK = "size=96m"  # a run of this size leaves 6 MB
_SLOW = "0.5"  # seconds by which every sync is later


def disks(undisturbed: Ground, expected: dict[str, Any], most: int, seed: int) -> Iterator[Trial]:
    """Fill the disk as each node starts, free it, and go on; then a run on a slow disk."""
    nodes = _nodes(undisturbed)
    with _small_disk() as folder:
        if folder is None:
            yield Trial("not tried", "full: no disk of its own can be mounted here")
        else:
            ground = undisturbed.beside("full")  # what is printed does not go to the full disk
            ground.root.symlink_to(folder)
            for node in nodes[: most or None]:
                yield _fill(ground, folder, node)
            yield _last("full", ground.run(), ground, expected)
    ground = undisturbed.beside("slow")
    watched = {"CHAOS_ROOT": str(ground.root), "CHAOS_DONE": str(ground.folder / "done")}
    ended = ground.run(first=SHIM, CHAOS_COUNT="1", CHAOS_SECONDS=_SLOW, **watched)
    yield _last("slow", ended, ground, expected)


def _nodes(ground: Ground) -> list[str]:
    (events,) = sorted((ground.root / "logs").glob("*.events.jsonl"))[:1]
    told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    return next(one["nodes"] for one in told if one["event"] == "plan")


@contextmanager
def _small_disk() -> Iterator[Path | None]:
    """A file system of its own, which only root may make; None where it cannot be made."""
    with tempfile.TemporaryDirectory(prefix="chaos-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", _DISK, "tmpfs", folder]
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def _fill(ground: Ground, disk: Path, node: str) -> Trial:
    """Fill the disk when a node starts; what the run makes of it."""
    started, filler = time.monotonic(), disk / "filler"
    earlier = _events(ground)
    process = ground.start()
    while process.poll() is None and not _has_started(ground, node, earlier):
        time.sleep(0.05)
    if process.poll() is None:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass
    try:
        process.wait(300)
    except subprocess.TimeoutExpired:
        ground.kill()
        process.wait()
    filler.unlink(missing_ok=True)
    ended = Ended(process.returncode, ground.said(), time.monotonic() - started)
    # A node that writes nothing does not mind.
    well = ended.in_words and ended.status in (0, 2)
    wrong = "" if well else f"status {ended.status}: {ended.said[-600:]}"
    return Trial(f"full, status {ended.status}", f"full in {node}", wrong, ended.seconds)


def _events(ground: Ground) -> set[Path]:
    return set((ground.root / "logs").glob("*.events.jsonl"))


def _has_started(ground: Ground, node: str, earlier: set[Path]) -> bool:
    """Whether a node has started in a run that is not one of the earlier ones."""
    wanted = f'"node": "{node}"'
    lines = [
        line
        for path in _events(ground) - earlier
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return any("node_started" in line and wanted in line for line in lines)


def _last(kind: str, ended: Ended, ground: Ground, expected: dict[str, Any]) -> Trial:
    """How a run that had to go through did."""
    if ended.status:
        return Trial(kind, kind, f"status {ended.status}: {ended.said[-800:]}", ended.seconds)
    wrong = "; ".join(differing(expected, ground.figures())[:5])
    return Trial(kind, kind, wrong, ended.seconds)


def together(
    undisturbed: Ground, expected: dict[str, Any], most: int, seed: int
) -> Iterator[Trial]:
    """Two at once on one root: one goes through, the other is refused. Two on two roots with their
    records in one place: both go through.
    """
    ground = undisturbed.beside("one-root")
    first = ground.start()
    while not (ground.root / ".lock").exists():
        time.sleep(0.05)
    second = Ground(ground.folder, ground.settings, ground.environment, name="second")
    refused = second.run()
    status = first.wait()
    wrong = "" if refused.status == 2 and "Another run is using" in refused.said else refused.said
    yield Trial("the second on one root", "refused", wrong[-400:], refused.seconds)
    yield _last("the first on one root", Ended(status, ground.said(), 0.0), ground, expected)
    grounds = [undisturbed.beside("records-1"), undisturbed.beside("records-2")]
    records = grounds[0].folder / "records"
    records.mkdir()
    for one in grounds:
        one.root.mkdir()
        (one.root / "records").symlink_to(records)
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(Ground.run, grounds))
    for one, ended in zip(grounds, ends, strict=True):
        yield _last("records in one place", ended, one, expected)
    kept = [path.name for path in records.iterdir()]
    yield Trial(
        "records", f"{len(kept)} of one recipe and span", "" if len(kept) == 1 else str(kept)
    )
