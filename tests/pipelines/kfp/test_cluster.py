from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.config import REPOSITORY
from pipelines.kfp.cluster import Cluster, cores, gigabytes, load_cluster
from pipelines.nodes import BY_ID, TRAINING_NODES
from twintrain.errors import TwintrainError

LEAST: dict[str, Any] = {"image": "twintrain:1", "pipeline_root": "s3://bucket/root"}


def test_the_file_that_comes_along_is_valid() -> None:
    cluster = load_cluster(REPOSITORY / "kubeflow" / "cluster.yaml")
    assert cluster.step("Trainer-fit").gpu is not None
    assert cluster.step("Transform").gpu is None
    assert cluster.step("Transform").cpu == "4"


def test_levels_lie_over_each_other() -> None:
    levels = {
        "defaults": {"cpu": 1},
        "training": {"cpu": 4, "gpu": {}},
        "nodes": {"Trainer-fit": {"cpu": "500m"}},
    }
    cluster = Cluster.model_validate(LEAST | levels)
    found = {node: cluster.step(node).cpu for node in BY_ID}
    assert found == {node: "4" if node in TRAINING_NODES else "1" for node in BY_ID} | {
        "Trainer-fit": "500m"
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"imge": "x"}, "imge: no such key. Did you mean 'image'?"),
        ({"volumes": [{"claim": "x", "mnt": "/y"}]}, "Did you mean 'mount'?"),
        ({"volumes": [{"claim": "x", "mount": "y"}]}, "must be an absolute path"),
        ({"nodes": {"Trainer": {}}}, "nodes.Trainer: the pipeline has no such step"),
        (
            {"nodes": {"Transform": {"gpu": {"count": 1}}}},
            "Transform asks for a GPU, but nothing is trained there",
        ),
        ({"defaults": {"gpu": {"count": 1}}}, "asks for a GPU, but nothing is trained there"),
        ({"training": {"gpu": {"count": 0}}}, "greater than or equal to 1"),
        ({"defaults": {"memory": "8 GB"}}, "memory"),
        ({"defaults": {"cpus": 8}}, "Did you mean 'cpu'?"),
        ({"pipeline_root": "hdfs://x"}, "must begin with gs://"),
        ({"alert_on_exit": True}, "say where they are"),
        (
            {"defaults": {"beam": ["--runner=DataflowRunner"]}},
            "beam: Dataflow's workers mount no volumes",
        ),
        (
            {"nodes": {"Transform": {"beam": ["--runner=FlinkRunner"]}}},
            "beam: workers outside a step's pod find its",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(LEAST | wrong))
    with pytest.raises(TwintrainError, match=r"cluster\.yaml is not valid") as caught:
        load_cluster(path)
    assert said in str(caught.value)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="cannot be read: No such file"):
        load_cluster(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("image: [")
    with pytest.raises(TwintrainError, match="is not YAML"):
        load_cluster(tmp_path / "bad.yaml")


def test_quantities() -> None:
    assert [cores("2"), cores("500m"), cores("0.5")] == [2, 0.5, 0.5]
    assert [gigabytes("16G"), gigabytes("1Gi"), gigabytes("500M")] == [
        16,
        pytest.approx(1.073741824),
        0.5,
    ]
