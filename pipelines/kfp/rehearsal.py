"""Runs the compiled pipeline on this machine, step by step in containers, through KFP's own local
orchestrator.

What it proves without a cluster: the image holds everything, every step's command works in it as a
user without rights and on a read-only root, artifacts find their way from step to step, and a step
that fails ends the run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from google.protobuf import json_format
from kfp import local
from kfp.local import docker_task_handler, pipeline_orchestrator
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from pipelines.kfp.cluster import Cluster
from twintrain.errors import TwintrainError
from twintrain.processes.scratch import scratch

Report = Callable[[str], None]
_SOCKET_SECONDS = 20.0


def for_rehearsal(cluster: Cluster, root: Path) -> Cluster:
    """The cluster with its artifacts below `root`, and without the GPUs and the Beam runner this
    machine may lack.
    """

    def here(settings: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in settings.items() if key not in ("gpu", "beam")}

    without = {name: here(getattr(cluster, name)) for name in ("defaults", "training")}
    nodes = {node: here(settings) for node, settings in cluster.nodes.items()}
    # One container at a time.
    own = {"pipeline_root": str(root), "alert_on_exit": False, "worker_steps": False}
    return cluster.model_copy(update={**without, "nodes": nodes, **own})


def rehearse(
    spec: dict[str, Any], cluster: Cluster, root: Path, arguments: dict[str, Any], report: Report
) -> Path:
    """Run a compiled pipeline in containers.

    Args:
        spec: a PipelineSpec compiled for `for_rehearsal(cluster, root)`.
        cluster: its volumes become directories below `root`/volumes.
        root: everything goes below it.
        arguments: values of the pipeline's parameters.
        report: called with a line for every step.

    Returns:
        the directory of the run's artifacts, one directory per step.

    Raises:
        TwintrainError: there is no container engine, or a step failed; names the step and its log.
    """
    mounts = []
    for volume in cluster.volumes:
        folder = _open_to_all(root / "volumes" / volume.claim)
        mounts.append(docker.types.Mount(str(volume.mount), str(folder), type="bind"))
    artifacts, logs = _open_to_all(root / "artifacts"), root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    before = {path.name for path in artifacts.iterdir()}
    message = json_format.ParseDict(spec, PipelineSpec())
    with _engine(), _honest_containers(logs, report) as failed:
        runner = local.DockerRunner(
            mounts=mounts,
            network_mode="none",
            read_only=True,
            tmpfs={"/tmp": "rw,mode=1777"},  # noqa: S108 - the container's own
            shm_size="1g",
        )
        local.init(runner=runner, pipeline_root=str(artifacts), raise_on_error=True)
        try:
            pipeline_orchestrator.run_local_pipeline(message, arguments)
        except RuntimeError as error:
            step, log = failed[0] if failed else ("a step", logs)
            problem = f"{step} failed; the steps after it were not run."
            raise TwintrainError(f"{problem}\n{_tail(log)}", f"The whole log: {log}") from error
    (made,) = {path.name for path in artifacts.iterdir()} - before
    return artifacts / made


@contextmanager
def _engine() -> Iterator[None]:
    """A container engine that answers Docker's API: the one DOCKER_HOST names, Docker's own, or
    podman's.
    """
    if "DOCKER_HOST" in os.environ or Path("/var/run/docker.sock").exists():
        yield
        return
    podman = shutil.which("podman")
    if podman is None:
        raise TwintrainError(
            "There is no container engine.",
            "Install podman, or set DOCKER_HOST to Docker's socket.",
        )
    # A folder that nobody else may enter: whoever reaches the socket can start containers.
    with scratch("podman") as folder, _podman_service(podman, folder / "socket"):
        yield


@contextmanager
def _podman_service(podman: str, socket: Path) -> Iterator[None]:
    service = subprocess.Popen(
        [podman, "system", "service", "--time=0", f"unix://{socket}"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.environ["DOCKER_HOST"] = f"unix://{socket}"
    try:
        deadline = time.monotonic() + _SOCKET_SECONDS
        while not socket.exists() and service.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if not socket.exists():
            raise TwintrainError(
                "podman's service does not start.", "Try by hand: podman system service --time=5"
            )
        yield
    finally:
        del os.environ["DOCKER_HOST"]
        service.terminate()
        service.wait()


@contextmanager
def _honest_containers(logs: Path, report: Report) -> Iterator[list[tuple[str, Path]]]:
    """Have KFP's runner report the exit status a container really had, and keep each step's log.

    Its own lets the engine remove a container at its end and takes one that has vanished for a
    success, so that a step that crashes early counts as done.
    """
    failed: list[tuple[str, Path]] = []

    def run(
        client: Any, image: str, command: list[str], volumes: dict[str, Any], **settings: Any
    ) -> int:
        step = command[command.index("--task") + 1]
        log, started = logs / f"{step}.log", time.monotonic()
        report(f"{step}: started")
        # As Kubernetes does: the command in place of the image's entrypoint.
        container = client.containers.run(
            image, command[1:], entrypoint=command[:1], detach=True, volumes=volumes, **settings
        )
        try:
            with log.open("wb") as output:
                for piece in container.logs(stream=True):
                    output.write(piece)
            status = int(container.wait()["StatusCode"])
        finally:
            container.remove(force=True)
        report(
            f"{step}: {'done' if status == 0 else f'exit status {status}'}, "
            f"{time.monotonic() - started:.0f} s"
        )
        if status:
            failed.append((step, log))
        return status

    theirs = docker_task_handler.run_docker_container
    docker_task_handler.run_docker_container = run
    try:
        yield failed
    finally:
        docker_task_handler.run_docker_container = theirs


def _open_to_all(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)  # the image's user is nobody this machine knows
    return folder


def _tail(log: Path, lines: int = 12) -> str:
    return (
        "\n".join(f"  | {line}" for line in log.read_text(errors="replace").splitlines()[-lines:])
        if log.is_file()
        else ""
    )
