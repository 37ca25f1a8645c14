from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.config import REPOSITORY
from pipelines.kfp.cluster import EXIT, Cluster, cores, gigabytes, load_cluster
from pipelines.nodes import BY_ID, TRAINING_NODES
from twintrain.errors import TwintrainError

HOOK = {"secret": "hook", "env": {"TWINTRAIN_WEBHOOK": "url"}}
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
        (
            {"defaults": {"retry": {"factor": 1.5}}},
            "defaults.retry.factor: Input should be a valid",
        ),
        (
            {"nodes": {"Transform": {"retry": {"count": 20}}}},
            "nodes.Transform.retry: the 20 waits alone take 8738 hours, and max_duration_hours is",
        ),
        ({"training": {"cpu": 0}}, "training.cpu: must be more than 0 (given: '0')"),
        ({"defaults": {"memory": "-1Gi"}}, "defaults.memory: is no Kubernetes quantity"),
        ({"defaults": {"memory": "8K"}}, "defaults.memory: is no Kubernetes quantity"),
        ({"defaults": {"cpu": "1_000"}}, "defaults.cpu: is no Kubernetes quantity"),
        ({"training": {"gpu": {"type": "gpu"}}}, "training.gpu.type: is no Kubernetes resource"),
        (
            {"training": {"node_selector": {"a/b/c": "d"}}},
            "training.node_selector.a/b/c.[key]: is no key of a label",
        ),
        (
            {"training": {"node_selector": {"pool": "with gpu"}}},
            "training.node_selector.pool: is no value of a label",
        ),
        (
            {"defaults": {"tolerations": [{"key": "a", "value": "b"}]}},
            "defaults.tolerations.0: value must be left out where operator is Exists",
        ),
        (
            {"volumes": [{"claim": "x", "mount": "/y"}, {"claim": "x", "mount": "/z"}]},
            "volumes: claim x stands there twice",
        ),
        (
            {"volumes": [{"claim": "x", "mount": "/y"}, {"claim": "z", "mount": "/y/"}]},
            "volumes: mount /y stands there twice",
        ),
        ({"volumes": [{"claim": "x.y", "mount": "/y"}]}, "volumes.0.claim: KFP names the pod's"),
        ({"volumes": [{"claim": "x" * 64, "mount": "/y"}]}, "volumes.0.claim: KFP names the pod's"),
        *(
            (
                {"volumes": [{"claim": claim, "mount": "/y"}]},
                "volumes.0.claim: is the name of a volume that a step's pod has already",
            )
            for claim in ("shared-memory", "gcs-scratch", "kfp-launcher", "kfp-workspace")
        ),
        ({"volumes": [{"claim": "x", "mount": "/gcs"}]}, "volumes.0.mount: is where a step's pod"),
        ({"volumes": [{"claim": "x", "mount": "/a:b"}]}, "volumes.0.mount: must be without :"),
        (
            {"secrets": [{"secret": "s", "env": {"1ST": "key"}}]},
            "secrets.0.env.1ST.[key]: is no name of an environment variable",
        ),
        ({"secrets": [{"secret": "s", "env": {"A": "a b"}}]}, "secrets.0.env.A: is no key of a"),
        ({"secrets": [HOOK, HOOK]}, "secrets: TWINTRAIN_WEBHOOK is given twice"),
        ({"secrets": [{"secret": "S", "env": {"A": "a"}}]}, "secrets.0.secret: is no name of a"),
        ({"service_account": "a..b"}, "service_account: is no name of a Kubernetes object"),
        ({"image_pull_policy": "always"}, "image_pull_policy: Input should be 'Always'"),
        ({"records": "s3://me:hush@b/r"}, "records (s3://…@b) has a key or a password in it"),
        (
            {"alert_on_exit": True, "records": "/records"},
            "alert_on_exit: no entry of `secrets` gives TWINTRAIN_WEBHOOK, so nobody would be told",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(json.dumps(LEAST | wrong))  # YAML too, and without aliases
    with pytest.raises(TwintrainError, match=r"cluster\.yaml is not valid") as caught:
        load_cluster(path)
    assert said in str(caught.value)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="cannot be read: No such file"):
        load_cluster(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("image: [")
    with pytest.raises(TwintrainError, match="is not YAML"):
        load_cluster(tmp_path / "bad.yaml")


def test_the_alert_step_has_the_defaults() -> None:
    levels = {"defaults": {"cpu": 1, "node_selector": {"pool": "cpu"}}, "training": {"cpu": 4}}
    cluster = Cluster.model_validate(LEAST | levels)
    assert (cluster.step(EXIT).cpu, cluster.step(EXIT).node_selector) == ("1", {"pool": "cpu"})


def test_what_kubernetes_takes_is_taken() -> None:
    step = {
        "cpu": ".5",
        "memory": "1e9",
        "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4", "spare": ""},
        "tolerations": [{"operator": "Exists"}, {"key": "k", "operator": "Equal", "value": "v"}],
        "retry": {"count": 3, "factor": 2.0, "max_duration_hours": 1},
    }
    volumes = [{"claim": "a-1", "mount": "/a"}, {"claim": "b" * 63, "mount": "/a/b"}]
    secrets = [{"secret": "team.hook", "env": {"A.B-C": "tls.crt"}}]
    given = LEAST | {"defaults": step, "volumes": volumes, "secrets": secrets}
    asked = Cluster.model_validate(given).step("Transform")
    assert (cores(asked.cpu), gigabytes(asked.memory), asked.retry.factor) == (0.5, 1, 2)


def test_quantities() -> None:
    assert [cores("2"), cores("500m"), cores("0.5")] == [2, 0.5, 0.5]
    assert [gigabytes("16G"), gigabytes("1Gi"), gigabytes("500M")] == [
        16,
        pytest.approx(1.073741824),
        0.5,
    ]
