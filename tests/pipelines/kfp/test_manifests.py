from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from docker.utils.build import exclude_paths

from pipelines.config import REPOSITORY
from pipelines.kfp.cluster import load_cluster

FOLDER = REPOSITORY / "kubeflow" / "manifests"
FILES = sorted(FOLDER.glob("*.yaml"))
OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_manifests_are_what_kubernetes_takes(path: Path, version: str) -> None:
    for document in documents(path):
        assert version.startswith(kubernetes_validate.validate(document, version, strict=True))


def test_a_wrong_manifest_would_be_noticed() -> None:
    (claim,) = (
        one
        for one in documents(FOLDER / "twintrain.yaml")
        if one["kind"] == "PersistentVolumeClaim"
    )
    claim["spec"]["accessMode"] = "ReadWriteMany"
    with pytest.raises(kubernetes_validate.ValidationError, match="accessMode"):
        kubernetes_validate.validate(claim, NEWEST, strict=True)


def test_they_make_what_cluster_yaml_names() -> None:
    cluster = load_cluster(REPOSITORY / "kubeflow" / "cluster.yaml")
    made = {(one["kind"], one["metadata"]["name"]) for path in FILES for one in documents(path)}
    assert ("ServiceAccount", cluster.service_account) in made
    assert {("PersistentVolumeClaim", volume.claim) for volume in cluster.volumes} <= made


def test_the_job_hands_the_volume_to_the_images_user() -> None:
    (job,) = documents(FOLDER / "volume-owner.yaml")
    pod = job["spec"]["template"]["spec"]
    (claim,) = (one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"])
    assert claim in {
        one["metadata"]["name"]
        for one in documents(FOLDER / "twintrain.yaml")
        if one["kind"] == "PersistentVolumeClaim"
    }
    (user,) = (
        line.split()[1]
        for line in (REPOSITORY / "kubeflow" / "Dockerfile").read_text().splitlines()
        if line.startswith("USER ")
    )
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert container["command"] == ["chown", user, mount["mountPath"]]


def test_the_image_gets_the_bundled_data_and_no_other(tmp_path: Path) -> None:
    rules = [
        line
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    bundled = {path.name for path in (REPOSITORY / "data").iterdir() if path.is_file()}
    for name in (
        *bundled,
        "photos/train-images-idx4-ubyte",
        "photos/schema.pbtxt",
        "span-1/t10k-images.gz",
    ):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    sent = {path for path in exclude_paths(str(tmp_path), rules) if (tmp_path / path).is_file()}
    assert sent - {".dockerignore"} == {f"data/{name}" for name in bundled}
