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


def fault(artifact: types.Artifact) -> str:
    """Why an artifact is not taken over, as a clause; empty if it is as it was made."""
    expected = artifact.get_string_custom_property(SEAL)
    if not expected:
        return "was not sealed (its run ended just then, or an older version made it)"
    if expected != folder_digest(Path(artifact.uri)):
        return "was changed after {node} made it"
    return ""


@contextmanager
def only_what_was_made(node: str) -> Iterator[None]:
    """Inside, TFX takes over nothing whose files were changed; each such result is told, and made
    anew.

    Args:
        node: whose results are asked for.
    """
    exist = artifact_utils.verify_artifacts
    known: dict[str, str] = {}  # each run that has taken an artifact over is asked for it

    def verify(artifacts: Any) -> None:
        exist(artifacts)
        for one in (one for some in artifacts.values() for one in some):
            if one.uri not in known:
                known[one.uri] = fault(one).format(node=node)
                if known[one.uri]:
                    report_progress("note", text=f"{one.uri} {known[one.uri]}, and is made anew.")
            if known[one.uri]:
                # As TFX's own check does of a folder that is gone.
                raise RuntimeError(known[one.uri])

    with mock.patch.object(cache_utils.artifact_utils, "verify_artifacts", verify):
        yield
