"""Looks, before anything is trained, whether the steps may write where cluster.yaml says so."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pipelines.config import RunConfig
from twintrain.errors import TwintrainError


def require_writable(config: RunConfig) -> None:
    """See that `work` and `records` can be written.

    A volume often belongs to root, and KFP sets no fsGroup, by which Kubernetes would hand it to
    the steps' user. Without this look it is the tuner that notices, after all of Transform.

    Raises:
        TwintrainError: one cannot; names it, the user, and whose the folder is.
    """
    for key, place in (("work", str(config.root)), ("records", config.record_place)):
        if "://" in place:
            continue
        try:
            Path(place).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            there = _nearest(Path(place))
            raise TwintrainError(
                f"{place} (`{key}` in cluster.yaml) cannot be written by user {os.geteuid()}: "
                f"{error.strerror}; {there} belongs to user {there.stat().st_uid}.",
                "Hand the volume over: kubectl apply -n NAMESPACE -f "
                "kubeflow/manifests/volume-owner.yaml (kubeflow/README.md, The volume).",
            ) from error


def _nearest(place: Path) -> Path:
    """The deepest folder on the way there that can be looked at."""
    for folder in (place, *place.parents):
        try:
            folder.stat()
        except OSError:
            continue
        return folder
    return Path("/")
