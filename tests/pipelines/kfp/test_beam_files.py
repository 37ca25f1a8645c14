from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import staging
from pipelines.kfp.beam_files import has_beam_stages, runs_elsewhere
from tests.pipelines.kfp.launcher import Launcher
from tests.pipelines.kfp.test_entrypoint import SMALL, compiled

import tfx  # isort: skip  # noqa: F401  (before TFDV)
import tensorflow_data_validation as tfdv  # isort: skip
import tensorflow_transform as tft  # isort: skip

PYTHON = [sys.executable, "-m"]


@pytest.mark.parametrize(
    ("beam", "elsewhere"),
    [
        ((), False),
        (("--runner=DirectRunner", "--direct_num_workers=4"), False),
        (("--flink_master=flink:8081", "--runner=FlinkRunner"), True),
        (("--runner", "PortableRunner", "--job_endpoint=flink:8099"), True),
    ],
)
def test_where_a_runners_workers_are(beam: tuple[str, ...], elsewhere: bool) -> None:
    assert runs_elsewhere(beam) is elsewhere


def test_which_executors_have_beam_stages() -> None:
    assert has_beam_stages("tfx.components.evaluator.executor.Executor")
    assert not has_beam_stages("tfx.components.pusher.executor.Executor")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) == 0:
                return
        assert process.poll() is None, "the server ended"
        time.sleep(0.1)
    raise AssertionError(f"nothing listens at port {port}")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [*PYTHON, "pipelines.cli", "kubeflow", "beam-workers", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert f"Port {port} cannot be served" in done.stderr
    assert "workers at port" not in done.stdout


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pod's own disk, below which the launcher stages."""
    for scheme in staging.FOLDERS:
        monkeypatch.setitem(
            staging.FOLDERS, scheme, f"{tmp_path}/pod/{scheme.removesuffix('://')}/"
        )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    monkeypatch.setenv("TWINTRAIN_TRAINERS_SEE_DEVICES", "unset")
    (tmp_path / "pod").mkdir()
    return tmp_path / "pod"


@pytest.fixture
def portable_runner(pod: Path, tmp_path: Path) -> Iterator[list[str]]:
    """Beam's own portable job service and a worker pool beside it, which does not see the pod's
    disk.
    """
    service, pool = free_port(), free_port()
    hidden = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs none {pod} && exec "$0" "$@"',
    ]
    if subprocess.run([*hidden, "true"], capture_output=True, check=False).returncode:
        hidden = []  # no user namespaces on this machine
    commands = {
        service: [
            *PYTHON,
            "apache_beam.runners.portability.local_job_service_main",
            "--port",
            str(service),
        ],
        pool: [*hidden, *PYTHON, "pipelines.cli", "kubeflow", "beam-workers", "--port", str(pool)],
    }
    # Where the pool finds `python`.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (tmp_path / "beam.log").open("wb") as log:
        started = {
            port: subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": path},
                start_new_session=True,
            )
            for port, command in commands.items()
        }
        try:
            for port, process in started.items():
                wait_for(port, process)
            yield [
                "--runner=PortableRunner",
                f"--job_endpoint=localhost:{service}",
                "--environment_type=EXTERNAL",
                f"--environment_config=localhost:{pool}",
            ]
        finally:
            for process in started.values():
                os.killpg(process.pid, 9)
                process.wait()


@pytest.mark.e2e
@pytest.mark.in_turn(4)
def test_steps_with_workers_outside_their_pod(
    tmp_path: Path, pod: Path, portable_runner: list[str]
) -> None:
    root, volume = "minio://bucket", {"claim": "shared", "mount": str(tmp_path)}
    step = {"beam": portable_runner}
    spec = compiled(tmp_path, root, [*SMALL, "data.limit=700"], volumes=[volume], defaults=step)
    launcher = Launcher(spec, root, tmp_path, {})
    names = ("InputState", "ExampleGen", "ImportSchemaGen", "StatisticsGen", "Transform")
    assert {name: launcher.run(name) for name in names} == dict.fromkeys(names, 0)
    left = {
        name: launcher.bucket / artifact["uri"].removeprefix("minio://")
        for name, artifact in found(launcher)
    }
    statistics = tfdv.load_stats_binary(str(left["statistics"] / "Split-train" / "FeatureStats.pb"))
    assert statistics.datasets[0].num_examples > 400
    assert "label" in tft.TFTransformOutput(str(left["transform_graph"])).transformed_feature_spec()
    assert list((left["transformed_examples"] / "Split-eval").iterdir())
    assert not list((tmp_path / "work" / "beam").iterdir()), (
        "what was within the workers' reach is gone"
    )
    shutil.rmtree(pod)


def found(launcher: Launcher) -> Iterator[tuple[str, dict[str, str]]]:
    for (_, name), artifact in launcher.outputs.items():
        yield name, artifact
