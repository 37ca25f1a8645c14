"""Builds the image of the pipeline's steps with docker or podman."""

from __future__ import annotations

import shutil
import subprocess

from pipelines.config import REPOSITORY
from twintrain.errors import TwintrainError
from twintrain.version import __version__

ENGINES = ("docker", "podman")


def build_image(
    image: str, *, cuda: bool, base: str | None, push: bool, further: list[str]
) -> None:
    """Build, and push if asked.

    Args:
        image: its name, with registry and tag.
        cuda: with NVIDIA's libraries.
        base: a Debian 13 image; None for Debian's own.
        push: push it afterwards.
        further: further arguments of the engine's `build`.

    Raises:
        TwintrainError: there is no engine, it does not answer, or it fails.
    """
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
    if push:
        _run([engine, "push", image])


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
