"""Where Kubeflow Pipelines' launcher stages what a URI names: remote artifacts are local paths
inside a step.
"""

from __future__ import annotations

FOLDERS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}


def staged(uri: str) -> str:
    """The local path of a remote URI; any other URI as it is."""
    for scheme, folder in FOLDERS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri


def unstaged(path: str) -> str:
    """The remote URI behind a local path; any other path as it is."""
    for scheme, folder in FOLDERS.items():
        if path.startswith(folder):
            return scheme + path.removeprefix(folder)
    return path
