from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec, PlatformSpec
from tfx.utils import import_utils

from pipelines.config import RunConfig
from pipelines.kfp.cluster import Cluster
from pipelines.kfp.input_state import STATE
from pipelines.kfp.runner import PARAMETERS, Compiled, compile_pipeline, on_cluster
from pipelines.nodes import BY_ID, NODES, TRAINING_NODES
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe

CLUSTER: dict[str, Any] = {
    "image": "registry/twintrain:1",
    "pipeline_root": "s3://bucket/root",
    "service_account": "runner",
    "records": "s3://bucket/records",
    "volumes": [{"claim": "shared", "mount": "/mnt/shared"}],
    "work": "/mnt/shared/work",
    "secrets": [{"secret": "hook", "env": {"TWINTRAIN_WEBHOOK": "url"}}],
    "image_pull_secret": "pull",
    "alert_on_exit": True,
    "defaults": {
        "cpu": 2,
        "memory": "4Gi",
        "node_selector": {"pool": "cpu"},
        "tolerations": [
            {"key": "batch", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
        ],
        "retry": {"count": 2, "backoff_seconds": 5},
    },
    "training": {
        "cpu": 8,
        "memory": "32Gi",
        "gpu": {"type": "nvidia.com/gpu", "count": 2},
        "shared_memory": "2Gi",
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
    },
    "nodes": {
        "ExampleGen": {"cpu": "500m", "node_selector": {"pool": "data"}},
        "Transform": {"beam": ["--runner=FlinkRunner", "--flink_master=flink:8081"]},
        "StatisticsGen": {"cache": False},
    },
}


def compiled(**changes: Any) -> Compiled:
    return compile_cluster(Cluster.model_validate(CLUSTER | changes))


def compile_cluster(cluster: Cluster) -> Compiled:
    recipe = load_recipe("bare", ["attribution.enabled=true"])
    nowhere = Path("/nowhere")
    config = RunConfig(recipe=recipe, data=nowhere, schema_file=nowhere, root=nowhere)
    return compile_pipeline(on_cluster(config, cluster), cluster)


@pytest.fixture(scope="module")
def whole() -> Compiled:
    return compiled()


def container(made: Compiled, node: str) -> dict[str, Any]:
    found: dict[str, Any] = made.spec["deploymentSpec"]["executors"][f"exec-{node.lower()}"][
        "container"
    ]
    return found


def placed(made: Compiled, node: str) -> dict[str, Any]:
    executors = made.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found: dict[str, Any] = executors[f"exec-{node.lower()}"]
    return found


@pytest.mark.parametrize("node", BY_ID)
def test_every_step_gets_what_it_asks_for(whole: Compiled, node: str) -> None:
    """Also the ingest step, for which TFX ignores resources."""
    resources, there = container(whole, node)["resources"], placed(whole, node)
    trains = node in TRAINING_NODES
    if trains:
        accelerator = resources["accelerator"]
        assert (accelerator["resourceType"], accelerator["resourceCount"]) == (
            "nvidia.com/gpu",
            "2",
        )
        assert (accelerator["type"], accelerator["count"]) == ("nvidia.com/gpu", "2")
        assert there["emptyDirMounts"] == [
            {
                "volumeName": "shared-memory",
                "mountPath": "/dev/shm",
                "medium": "Memory",
                "sizeLimit": "2Gi",
            }
        ]
    else:
        assert "accelerator" not in resources
        assert "emptyDirMounts" not in there
    cpu = {"ExampleGen": "500m"}.get(node, "8" if trains else "2")
    assert (resources["resourceCpuLimit"], resources["resourceCpuRequest"]) == (cpu, cpu)
    assert resources["resourceMemoryLimit"] == ("32Gi" if trains else "4Gi")
    pool = {"ExampleGen": "data"}.get(node, "gpu" if trains else "cpu")
    assert there["nodeSelector"] == {"labels": {"pool": pool}}
    assert [taint["key"] for taint in there["tolerations"]] == [
        "nvidia.com/gpu" if trains else "batch"
    ]
    assert [(one["constant"], one["mountPath"]) for one in there["pvcMount"]] == [
        ("shared", "/mnt/shared")
    ]
    assert there["secretAsEnv"][0]["keyToEnv"] == [
        {"secretKey": "url", "envVar": "TWINTRAIN_WEBHOOK"}
    ]
    assert there["imagePullSecret"][0]["secretName"] == "pull"
    assert ("--gpus" in container(whole, node)["args"]) == trains


def test_both_documents_are_what_kfp_parses(whole: Compiled, tmp_path: Path) -> None:
    whole.write(tmp_path / "pipeline.yaml")
    spec, platform = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    parsed = json_format.ParseDict(spec, PipelineSpec())
    assert (parsed.schema_version, parsed.pipeline_info.name) == ("2.1.0", "twintrain")
    json_format.ParseDict(platform, PlatformSpec())
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        json_format.ParseDict(executor, KubernetesExecutorConfig())


def test_nothing_in_it_is_what_open_source_kfp_cannot_do(whole: Compiled) -> None:
    for label, executor in whole.spec["deploymentSpec"]["executors"].items():
        assert set(executor) == {"container"}, f"{label} is no container: KFP runs no resolvers"
        assert "lifecycle" not in executor["container"], "KFP never calls preCacheCheck"
    tasks = whole.spec["components"]["comp-pipeline"]["dag"]["tasks"]
    assert set(tasks) == {*BY_ID, STATE}
    for name, task in tasks.items():
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"), (
            "an Argo name"
        )
        assert task["componentRef"]["name"] == f"comp-{name.lower()}"
        assert set(task.get("dependentTasks", [])) <= set(tasks)


def test_every_class_can_be_imported(whole: Compiled) -> None:
    for node in BY_ID:
        arguments = container(whole, node)["args"]
        assert import_utils.import_class_by_path(
            arguments[arguments.index("--executor_class_path") + 1]
        )


def test_what_reads_from_outside_is_looked_up_by_what_lies_there(whole: Compiled) -> None:
    """One step always looks, where ingestion runs; what it finds are the readers' parameters."""
    tasks = whole.spec["components"]["comp-pipeline"]["dag"]["tasks"]
    found = {
        node: {
            name: source["taskOutputParameter"]["outputParameterKey"]
            for name, source in task["inputs"]["parameters"].items()
            if source.get("taskOutputParameter", {}).get("producerTask") == STATE
        }
        for node, task in tasks.items()
    }
    read = {
        "ExampleGen": {"run_span": "span", "run_files": "files"},
        "ImportSchemaGen": {"run_schema": "schema"},
    }
    codes = {node: names.pop("run_code") for node, names in found.items() if "run_code" in names}
    assert {node: names for node, names in found.items() if names} == read
    assert set(codes) == {node.id for node in NODES if node.code}
    assert len(set(codes.values())) == len(codes)  # each its own
    assert codes["Trainer-fit"] == "code_trainer_fit"
    assert all(STATE in tasks[node]["dependentTasks"] for node in {*read, *codes})
    assert "dependentTasks" not in tasks[STATE]
    assert placed(whole, STATE) == placed(whole, "ExampleGen")
    assert container(whole, STATE)["resources"] == container(whole, "ExampleGen")["resources"]
    assert tasks[STATE]["retryPolicy"]["maxRetryCount"] == 2


def test_caching_and_retries(whole: Compiled) -> None:
    tasks = whole.spec["components"]["comp-pipeline"]["dag"]["tasks"]
    cached = {
        name for name, task in tasks.items() if task["cachingOptions"] == {"enableCache": True}
    }
    never = {"PushGate", "Pusher", "TrendRecord"}
    assert never == {node.id for node in NODES if not node.cached}
    assert cached == set(BY_ID) - never - {"StatisticsGen"}
    assert tasks["Transform"]["retryPolicy"]["maxRetryCount"] == 2
    assert tasks["Transform"]["retryPolicy"]["backoffDuration"] == "5s"


def test_beam_arguments_reach_the_step_that_asked(whole: Compiled) -> None:
    assert "--flink_master=flink:8081" in container(whole, "Transform")["args"]
    assert (
        f"--sdk_container_image={container(whole, 'Transform')['image']}"
        in container(whole, "Transform")["args"]
    )
    assert "--beam-files" in container(whole, "Transform")["args"]
    assert "--beam-files" not in container(whole, "Evaluator")["args"]
    assert "--runner=DirectRunner" in container(whole, "Evaluator")["args"]
    assert "--direct_num_workers=2" in container(whole, "Evaluator")["args"]


def test_parameters_have_defaults_and_reach_every_step(whole: Compiled) -> None:
    declared = whole.spec["root"]["inputDefinitions"]["parameters"]
    assert set(declared) == set(PARAMETERS)
    assert declared["span"] == {
        "parameterType": "NUMBER_INTEGER",
        "defaultValue": -1,
        "isOptional": True,
    }
    tasks = whole.spec["components"]["comp-pipeline"]["dag"]["tasks"]
    for task in tasks.values():
        given = task["inputs"]["parameters"]
        assert given["run_overrides"] == {"componentInputParameter": "overrides"}
    handed = whole.spec["root"]["dag"]["tasks"]["pipeline"]["inputs"]["parameters"]
    assert handed["data"] == {"componentInputParameter": "data"}


def test_the_alert_comes_after_all_whether_it_went_well_or_not(whole: Compiled) -> None:
    alert = whole.spec["root"]["dag"]["tasks"]["alert"]
    assert alert["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert alert["dependentTasks"] == ["pipeline"]
    assert alert["inputs"]["parameters"]["status"] == {
        "taskFinalStatus": {"producerTask": "pipeline"}
    }
    assert placed(whole, "alert")["secretAsEnv"][0]["secretName"] == "hook"


def test_the_alert_finds_a_place_on_a_tainted_cluster_with_quotas(whole: Compiled) -> None:
    assert placed(whole, "alert")["nodeSelector"] == {"labels": {"pool": "cpu"}}
    assert [taint["key"] for taint in placed(whole, "alert")["tolerations"]] == ["batch"]
    resources = container(whole, "alert")["resources"]
    assert resources == container(whole, "StatisticsGen")["resources"]
    assert (resources["resourceCpuLimit"], resources["resourceMemoryRequest"]) == ("2", "4Gi")


def test_retries_have_weeks_and_whole_factors(whole: Compiled) -> None:
    """Argo counts the maximum from the first attempt's start, and kills what runs longer."""
    tasks = whole.spec["components"]["comp-pipeline"]["dag"]["tasks"]
    assert tasks["Trainer-fit"]["retryPolicy"] == {
        "maxRetryCount": 2,
        "backoffDuration": "5s",
        "backoffFactor": 2,
        "backoffMaxDuration": "2419200s",
    }
    short = compiled(defaults={"retry": {"count": 1, "max_duration_hours": 5}})
    tasks = short.spec["components"]["comp-pipeline"]["dag"]["tasks"]
    assert {task["retryPolicy"]["backoffMaxDuration"] for task in tasks.values()} == {"18000s"}


def test_the_image_can_be_pulled_anew_or_pinned(whole: Compiled) -> None:
    assert "imagePullPolicy" not in placed(whole, "Trainer-fit")
    always = compiled(image_pull_policy="Always")
    digest = f"sha256:{'1f' * 32}"
    pinned = compile_cluster(Cluster.model_validate(CLUSTER).pinned(digest))
    for node in (*BY_ID, STATE, "alert"):
        assert placed(always, node)["imagePullPolicy"] == "Always"
        assert container(pinned, node)["image"] == f"registry/twintrain:1@{digest}"
    again = Cluster.model_validate(CLUSTER).pinned(f"sha256:{'00' * 32}").pinned(digest)
    assert again.image == f"registry/twintrain:1@{digest}"
    with pytest.raises(TwintrainError, match="'sha256:12' is no digest of an image"):
        again.pinned("sha256:12")


def test_without_alert_and_placement_there_is_one_document(tmp_path: Path) -> None:
    plain = compiled(
        alert_on_exit=False,
        volumes=[],
        secrets=[],
        image_pull_secret=None,
        defaults={},
        training={},
        nodes={},
    )
    assert plain.platform == {}
    plain.write(tmp_path / "pipeline.yaml")
    assert len(list(yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text()))) == 1
    assert "resources" in container(plain, "ExampleGen")


def with_worker_steps(*overrides: str, **changes: Any) -> Compiled:
    cluster = Cluster.model_validate(
        CLUSTER | {"worker_steps": True, "work": "/mnt/shared/work"} | changes
    )
    nowhere = Path("/nowhere")
    config = RunConfig(
        recipe=load_recipe("standard", [*overrides]),
        data=nowhere,
        schema_file=nowhere,
        root=nowhere,
    )
    return compile_pipeline(on_cluster(config, cluster), cluster)


def test_workers_are_steps_beside_the_node_with_its_inputs_and_its_place() -> None:
    made = with_worker_steps("tuning.workers=3", "execution.strategy=multi_worker")
    tasks = made.spec["components"]["comp-pipeline"]["dag"]["tasks"]
    helpers = {name for name in tasks if "-worker-" in name}
    assert helpers == {
        *(f"Tuner-{twin}-worker-{member}" for twin in ("fit", "loop") for member in (1, 2)),
        *(f"Trainer-{twin}-worker-1" for twin in ("fit", "loop")),
    }
    for name in helpers:
        node, _, member = name.partition("-worker-")
        component = made.spec["components"][tasks[name]["componentRef"]["name"]]
        assert tasks[name]["inputs"] == tasks[node]["inputs"]
        assert tasks[name]["dependentTasks"] == tasks[node]["dependentTasks"]
        assert tasks[name]["inputs"]["parameters"]["run_id"] == {
            "runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}
        }
        assert tasks[name]["cachingOptions"] == tasks[node]["cachingOptions"] == {}
        assert "outputDefinitions" not in component
        assert component["inputDefinitions"]["parameters"]["run_id"] == {"parameterType": "STRING"}
        assert container(made, name)["resources"] == container(made, node)["resources"]
        assert placed(made, name) == placed(made, node)
        size = "3" if node.startswith("Tuner") else "2"
        assert container(made, name)["args"][-4:] == ["--group", size, "--member", member]
        assert container(made, node)["args"][-4:] == ["--group", size, "--member", "0"]
    assert not any(
        name in str(task.get("dependentTasks")) for name in helpers for task in tasks.values()
    )
    json_format.ParseDict(made.spec, PipelineSpec())


def test_nobody_helps_where_one_is_enough() -> None:
    plain, asked = with_worker_steps(), with_worker_steps("tuning.workers=3", worker_steps=False)
    for made in (plain, asked):
        assert not any("worker-" in name for name in made.spec["deploymentSpec"]["executors"])


def test_steps_that_cannot_meet_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the steps of one node meet in `work`, and /tmp/twintrain is on none"
    ):
        Cluster.model_validate(
            CLUSTER | {"worker_steps": True, "work": "/tmp/twintrain", "nodes": {}}
        )
