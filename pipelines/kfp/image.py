"""Builds the image of the pipeline's steps with docker or podman."""

from __future__ import annotations

import json
import shutil
import subprocess

from pipelines.config import REPOSITORY
from twintrain.errors import TwintrainError
from twintrain.version import __version__

ENGINES = ("docker", "podman")


def build_image(
    image: str, *, cuda: bool, base: str | None, push: bool, further: list[str]
) -> str | None:
    """Build, and push if asked.

    Args:
        image: its name, with registry and tag.
        cuda: with NVIDIA's libraries.
        base: a Debian 13 image; None for Debian's own.
        push: push it afterwards.
        further: further arguments of the engine's `build`.

    Returns:
        the digest it has in the registry, `sha256:…`; None where it was not pushed.

    Raises:
        TwintrainError: there is no engine, it does not answer, or it fails; the name has a digest,
            which nobody can choose.
    """
    if "@" in image:
        raise TwintrainError(
            f"{image} is named by its digest, which only a push can say.",
            "Leave @sha256:… out of `image` in cluster.yaml while you build.",
        )
    engine = _engine()
    command = [
        engine,
        "build",
        "--tag",
        image,
        "--file",
        str(REPOSITORY / "kubeflow" / "Dockerfile"),
    ]
    command += ["--build-arg", f"CUDA={int(cuda)}", "--build-arg", f"VERSION={__version__}"]
    command += ["--build-arg", f"REVISION={_revision()}"]
    command += ["--build-arg", f"BASE={base}"] if base else []
    _run([*command, *further, str(REPOSITORY)])
    if not push:
        return None
    _run([engine, "push", image])
    return _digest(engine, image)


def _digest(engine: str, image: str) -> str:
    """Of the image as it was pushed; a copy in another registry may have another."""
    command = [engine, "image", "inspect", "--format", "{{json .RepoDigests}}", image]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    repository = image.rpartition(":")[0] if ":" in image.rpartition("/")[2] else image
    try:
        known = json.loads(done.stdout) or []
    except ValueError:
        known = []
    for one in known:
        name, _, digest = one.partition("@")
        # Docker leaves its own registry's name out.
        if repository in (name, f"docker.io/{name}", f"docker.io/library/{name}"):
            return str(digest)
    raise TwintrainError(
        f"{image} was pushed, and {engine} does not say under which digest.",
        f"Look for it in the registry, or with: {' '.join(command[:3])} {image}",
    )


def _engine() -> str:
    """The first engine that answers: Docker's client alone, without a daemon, does not."""
    for name in ENGINES:
        path = shutil.which(name)
        if (
            path
            and subprocess.run([path, "info"], capture_output=True, check=False).returncode == 0
        ):
            return path
    raise TwintrainError(
        "Neither docker nor podman answers here.", "Install podman, or start Docker's daemon."
    )


def _revision() -> str:
    """The commit, with a mark where files were changed since."""
    try:
        command = [
            "git",
            "-C",
            str(REPOSITORY),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
            "--exclude=*",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _run(command: list[str]) -> None:
    status = subprocess.run(command, check=False).returncode
    if status:
        raise TwintrainError(
            f"{' '.join(command[:2])} ended with {status}.", "Its output above says why."
        )
