"""Where Beam's workers are outside a step's pod (Flink), the step's files lie where they can reach
them.

KFP's launcher stages artifacts on the pod's own disk, which no other machine sees. For as long as
the executor runs, they lie in a folder on a volume instead that the workers mount too, at the same
place.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def runs_elsewhere(beam: tuple[str, ...]) -> bool:
    """Whether these Beam arguments name a runner with workers outside the pod."""
    runners = re.findall(r"--runner[= ](\S+)", " ".join(beam))
    return bool(runners) and "direct" not in runners[-1].lower()


def has_beam_stages(executor: str) -> bool:
    """Whether the executor of that class path runs a Beam pipeline."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.utils import import_utils

    return issubclass(import_utils.import_class_by_path(executor), BaseBeamExecutor)


@contextmanager
def within_reach(given: dict[str, Any], folder: Path, task: str) -> Iterator[dict[str, str]]:
    """Move a step's artifacts below `folder`, and in the end its outputs to where they were
    expected.

    Args:
        given: an ExecutorInput as JSON, with local paths as URIs; they are replaced.
        folder: on a volume that Beam's workers mount at the same place.
        task: the node's id.

    Yields:
        for every output artifact, the path it was expected at by the one it has now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # On a network file system a file that is still open somewhere leaves something behind.
    with TemporaryDirectory(prefix=f"{task}-", dir=folder, ignore_cleanup_errors=True) as place:
        for local, shared in _moved(given, "inputs", place).items():
            _copy(Path(local), Path(shared))
        outputs = {shared: local for local, shared in _moved(given, "outputs", place).items()}
        yield outputs
        for shared, local in outputs.items():
            _copy(Path(shared), Path(local))


def _moved(given: dict[str, Any], side: str, place: str) -> dict[str, str]:
    """Give every artifact of that side a path below `place`; the new ones by the old."""
    moved = {}
    for artifacts in given[side].get("artifacts", {}).values():
        for artifact in artifacts["artifacts"]:
            local = artifact["uri"]
            artifact["uri"] = moved[local] = str(Path(place, *Path(local).parts[1:]))
    return moved


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
