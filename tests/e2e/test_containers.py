"""The pipeline in its image: `make e2e-kubeflow`, which builds the image and names it in
TWINTRAIN_IMAGE.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.conftest import DATA

IMAGE = os.environ.get("TWINTRAIN_IMAGE", "")
SMALL = [
    "data.limit=1200",
    "seeds=[0,1]",
    "training.epochs=1",
    "tuning.trials=1",
    "tuning.examples=300",
]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not IMAGE, reason="make e2e-kubeflow builds the image first"),
]
SOURCE = Path(__file__).resolve().parents[2]


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A cluster.yaml whose volume holds one span of data."""
    folder = tmp_path / "rehearsal" / "volumes" / "twintrain" / "data" / "span-4"
    folder.mkdir(parents=True)
    for path in DATA.glob("*-ubyte.gz"):
        shutil.copy(path, folder)
    settings = {
        "image": IMAGE,
        "pipeline_root": "minio://mlpipeline/v2/artifacts",
        "volumes": [{"claim": "twintrain", "mount": "/mnt/twintrain"}],
        "data": "/mnt/twintrain/data",
        "work": "/mnt/twintrain/work",
        "records": "/mnt/twintrain/records",
        "training": {"gpu": {"count": 1}},
    }
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def twintrain(
    *arguments: str | Path, sets: list[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    chosen = [part for setting in sets for part in ("--set", setting)]
    command = [sys.executable, "-m", "pipelines.cli", *map(str, arguments), *chosen]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=SOURCE,
        env={**os.environ, **environment},
        check=False,
    )


def digests(path: Path) -> dict[str, str]:
    """Of every array in a file: the batches a twin was fed, or its weights."""
    loaded = np.load(path)
    arrays = dict(loaded) if path.suffix == ".npz" else {"all": loaded}
    return {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}


def in_image(*command: str) -> str:
    """What a command in the image prints, as its own user on a read-only root without network."""
    engine = (
        shutil.which("docker") if os.path.exists("/var/run/docker.sock") else shutil.which("podman")
    )
    assert engine
    options = [
        "--rm",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--network",
        "none",
        "--entrypoint",
        command[0],
    ]
    done = subprocess.run(
        [engine, "run", *options, IMAGE, *command[1:]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_containers_find_what_the_local_run_finds(cluster: Path, tmp_path: Path) -> None:
    """Seed for seed, digest for digest."""
    root = tmp_path / "rehearsal"
    done = twintrain("kubeflow", "rehearse", "--cluster", cluster, "--root", root, sets=SMALL)
    assert done.returncode == 0, done.stderr + done.stdout
    print(done.stdout)
    data = root / "volumes" / "twintrain" / "data"
    local = twintrain("run", "--data", data, "--root", tmp_path / "local", sets=SMALL)
    assert local.returncode == 0, local.stderr
    (theirs,) = (root / "artifacts").glob("*/report/report/comparison.json")
    found = [
        json.loads(path.read_text())
        for path in (theirs, tmp_path / "local" / "report" / "comparison.json")
    ]
    for measured in found:
        for twin in measured["twins"].values():
            for name in ("train_seconds", "images_per_second", "peak_memory_mb"):
                del twin[name]
            for trial in twin["trials"]:
                trial.pop("seconds", None)
        for name in ("created", "versions", "digest"):
            del measured[name]
    assert found[0] == found[1]
    for twin in ("fit", "loop"):
        (ours,) = (tmp_path / "local" / "artifacts" / f"Trainer-{twin}" / "model_run").iterdir()
        (other,) = (root / "artifacts").glob(f"*/trainer-{twin}/model_run")
        for seed in (0, 1):
            for name in ("fingerprints.npy", "weights.npz"):
                assert digests(ours / f"seed-{seed}" / name) == digests(
                    other / f"seed-{seed}" / name
                )
    (record,) = (root / "volumes" / "twintrain" / "records").iterdir()
    assert json.loads(record.read_text())["span"] == 4


@pytest.mark.parametrize(
    ("sets", "step", "said"),
    [
        (["model.name=textwrap:dedent"], "ParityCheck", "dedent"),
        (["data.image_shape=[32,32,1]"], "ExampleGen", "the recipe expects 32 x 32"),
    ],
)
def test_a_step_that_fails_ends_the_run(
    cluster: Path, tmp_path: Path, sets: list[str], step: str, said: str
) -> None:
    root = tmp_path / "rehearsal"
    done = twintrain(
        "kubeflow", "rehearse", "--cluster", cluster, "--root", root, sets=[*SMALL, *sets]
    )
    assert done.returncode == 2
    assert f"{step}: exit status" in done.stdout
    assert f"{step} failed; the steps after it were not run." in done.stderr
    assert said in done.stderr
    assert "Evaluator: started" not in done.stdout


def test_every_command_of_the_compiled_pipeline_starts_in_the_image(
    cluster: Path, tmp_path: Path
) -> None:
    package = tmp_path / "pipeline.yaml"
    done = twintrain("kubeflow", "compile", "--cluster", cluster, "-o", package, sets=SMALL)
    assert done.returncode == 0, done.stderr
    spec = next(yaml.safe_load_all(package.read_text()))
    containers = [one["container"] for one in spec["deploymentSpec"]["executors"].values()]
    with_class = [one["args"] for one in containers if "--executor_class_path" in one["args"]]
    classes = {arguments[arguments.index("--executor_class_path") + 1] for arguments in with_class}
    assert (len(containers), len(with_class)) == (19, 18)
    program = "import sys; from tfx.utils.import_utils import import_class_by_path as load; "
    program += "print(*[load(path).__name__ for path in sys.argv[1:]])"
    assert len(in_image("python", "-c", program, *sorted(classes)).split()) == len(classes)
    assert {tuple(one["command"]) for one in containers} == {
        ("python", "-m", "pipelines.kfp.entrypoint")
    }
    assert "Run one step of the pipeline" in in_image(
        "python", "-m", "pipelines.kfp.entrypoint", "--help"
    )
    assert "alert" not in in_image("python", "-m", "pipelines.cli", "--version")


def test_the_image_gives_nobody_more_rights() -> None:
    assert in_image("id", "-u").strip() == "10001"
    kinds = ["(", "-perm", "-4000", "-o", "-perm", "-2000", ")", "-type", "f"]
    assert (
        in_image("sh", "-c", f"find / -xdev {' '.join(map(_quoted, kinds))} 2>/dev/null || true")
        == ""
    )
    writable = (
        "find / -xdev -perm -0002 ! -type l ! -path '/tmp*' ! -path '/var/tmp*' ! -path "
        "'/run/lock*' "
    )
    writable += "! -path '/proc*' ! -path '/dev*' 2>/dev/null || true"
    assert in_image("sh", "-c", writable) == ""
    assert in_image("sh", "-c", "command -v gcc g++ make pip uv ruff pytest || true") == ""


def _quoted(part: str) -> str:
    return f"'{part}'"
