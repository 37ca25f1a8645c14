"""What a node has made is sealed: a digest over its files stands beside it in ML Metadata. A result
of an earlier run is taken over only while its files are still those.

TFX itself asks no more than whether an artifact's folder exists (`verify_artifacts`, called by its
cache for each result it would take over). Here the answer also depends on the seal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tfx import types
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.types import artifact_utils

from twintrain.processes.digests import folder_digest
from twintrain.processes.progress import report_progress

SEAL = "twintrain_seal"  # a custom property: SHA-256 over names and contents of an artifact's files


def seal(handle: metadata.Metadata, execution_id: int) -> None:
    """Note the digest of everything that an execution has made.

    Args:
        handle: an open connection to ML Metadata.
        execution_id: of the execution.
    """
    made = execution_lib.get_output_artifacts(handle, execution_id)
    ids = [artifact.id for artifacts in made.values() for artifact in artifacts]
    protos = handle.store.get_artifacts_by_id(ids) if ids else []
    for proto in protos:
        place = Path(proto.uri)
        if place.exists():
            proto.custom_properties[SEAL].string_value = folder_digest(place)
    if protos:
        handle.store.put_artifacts(protos)


def broken(artifact: types.Artifact) -> bool:
    """Whether an artifact's files are others than when it was made; one without a seal is not."""
    expected = artifact.get_string_custom_property(SEAL)
    return bool(expected) and expected != folder_digest(Path(artifact.uri))


@contextmanager
def only_what_was_made(node: str) -> Iterator[None]:
    """Inside, TFX takes over nothing whose files were changed; each such result is told, and made
    anew.

    Args:
        node: whose results are asked for.
    """
    exist = artifact_utils.verify_artifacts
    known: dict[str, bool] = {}  # each run that has taken an artifact over is asked for it

    def verify(artifacts: Any) -> None:
        exist(artifacts)
        for one in (one for some in artifacts.values() for one in some):
            text = f"{one.uri} was changed after {node} made it, and is made anew."
            if one.uri not in known:
                known[one.uri] = broken(one)
                if known[one.uri]:
                    report_progress("note", text=text)
            if known[one.uri]:
                raise RuntimeError(text)  # what TFX's own check raises of a folder that is gone

    with mock.patch.object(cache_utils.artifact_utils, "verify_artifacts", verify):
        yield
