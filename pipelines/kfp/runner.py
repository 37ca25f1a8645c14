"""Compiles the pipeline for open-source Kubeflow Pipelines: PipelineSpec 2.1 and the Kubernetes
platform document.

TFX's own `KubeflowV2DagRunner` does the translation; what it writes runs on Vertex AI but not on
open-source KFP. Here its output is given what is missing: names Argo accepts, an entrypoint that
adapts TFX's executors to KFP's launcher, resources for every step (TFX leaves the ingest step out),
placement, and parameters that can differ from run to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as tfx_runner

from pipelines.config import RunConfig, workers_have_tfx
from pipelines.kfp.beam_files import runs_elsewhere
from pipelines.kfp.cluster import (
    EXIT,
    SHARED_MEMORY,
    SHARED_MEMORY_MOUNT,
    Cluster,
    Step,
    cores,
    gigabytes,
)
from pipelines.kfp.input_state import add_input_state
from pipelines.kfp.ui_artifacts import REPORT, declare_ui_artifacts
from pipelines.kfp.worker_steps import add_worker_steps
from pipelines.nodes import BY_ID
from pipelines.twin_pipeline import create_pipeline

ENTRYPOINT = ("python", "-m", "pipelines.kfp.entrypoint")
ALERT = ("python", "-m", "pipelines.kfp.alert")
RUN = "config"  # the parameter that carries the compiled RunConfig to every step
# In a step, before a run parameter's name: a step may have an input of its own called `data`.
OWN = "run_"
# What may differ from run to run without compiling again, with types; their defaults come from the
# RunConfig.
PARAMETERS = {"data": "STRING", "span": "NUMBER_INTEGER", "overrides": "LIST", RUN: "STRING"}
_DAG = "pipeline"


class Compiled(NamedTuple):
    """The two documents of a compiled pipeline."""

    spec: dict[str, Any]
    platform: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write both into one YAML file, as `kfp` does."""
        path.parent.mkdir(parents=True, exist_ok=True)
        documents = [self.spec, *([self.platform] if self.platform else [])]
        path.write_text(
            yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True, width=120),
            encoding="utf-8",
        )


def tfx_spec(config: RunConfig, image: str = "unset") -> dict[str, Any]:
    """What TFX makes of the pipeline: a PipelineSpec as a dictionary, schema 2.1."""
    settings = tfx_runner.KubeflowV2DagRunnerConfig(
        use_pipeline_spec_2_1=True, default_image=image, default_commands=list(ENTRYPOINT)
    )
    job = tfx_runner.KubeflowV2DagRunner(config=settings).run(
        create_pipeline(config), write_out=False
    )
    spec: dict[str, Any] = job["pipelineSpec"]
    return spec


def compile_pipeline(config: RunConfig, cluster: Cluster) -> Compiled:
    """Compile one run configuration for a cluster.

    Args:
        config: paths are those inside the steps' containers; see `on_cluster`.
        cluster: image, resources, placement.

    Raises:
        google.protobuf.json_format.ParseError: the result is not a PipelineSpec (a fault of ours).
    """
    made = tfx_spec(config, cluster.image)
    spec = _empty_spec(made, config)
    platform: dict[str, Any] = {}
    for node in made["root"]["dag"]["tasks"]:
        _add_step(node, made, spec, config, cluster)
        if placed := _placement(cluster.step(node), cluster):
            platform[_label(node)] = placed
    add_input_state(spec, platform, OWN)
    if cluster.worker_steps:
        add_worker_steps(spec, platform, config.recipe)
    if cluster.alert_on_exit:
        _with_exit_handler(spec, cluster)
        platform[_label(EXIT)] = _placement(cluster.step(EXIT), cluster)
    json_format.ParseDict(spec, PipelineSpec())
    placement = {"kubernetes": {"deploymentSpec": {"executors": platform}}}
    return Compiled(spec, {"platforms": placement} if platform else {})


def _empty_spec(made: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    """A PipelineSpec without steps, with the names and versions of what TFX made."""
    return {
        "pipelineInfo": {
            "name": made["pipelineInfo"]["name"],
            "description": f"Twintrain, recipe {config.recipe.name}: "
            f"{' against '.join(config.recipe.twins.titles)}.",
        },
        "schemaVersion": made["schemaVersion"],
        "sdkVersion": made["sdkVersion"],
        "components": {},
        "deploymentSpec": {"executors": {}},
        "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": _declared(config)}},
    }


def _add_step(
    node: str, made: dict[str, Any], spec: dict[str, Any], config: RunConfig, cluster: Cluster
) -> None:
    """Add what TFX made of a node, its task, component and executor, with what KFP wants beside."""
    step, task = cluster.step(node), made["root"]["dag"]["tasks"][node]
    component = made["components"][node]
    component["executorLabel"] = _label(node)
    if node == REPORT:
        declare_ui_artifacts(component)
    _take_parameters(component, task)
    spec["components"][_component(node)] = component
    executor = made["deploymentSpec"]["executors"][f"{node}_executor"]["container"]
    beam = _beam(config, step, cluster.image)
    spec["deploymentSpec"]["executors"][_label(node)] = {
        "container": _container(node, executor, step, beam, cluster)
    }
    task["componentRef"]["name"] = _component(node)
    task["cachingOptions"] = {"enableCache": True} if step.cache and BY_ID[node].cached else {}
    if step.retry.count:
        task["retryPolicy"] = _retry(step)
    spec["root"]["dag"]["tasks"][node] = task


def on_cluster(config: RunConfig, cluster: Cluster) -> RunConfig:
    """The run as its steps see it: paths inside their containers, data looked at by the step that
    ingests.
    """
    return config.model_copy(
        update={
            "data": Path(cluster.data),
            "schema_file": config.schema_file
            if _brings_schema(config)
            else Path(cluster.data_schema),
            "root": Path(cluster.work),
            "records": cluster.records,
            "seeds_at_a_time": cluster.seeds_at_a_time,
            "ingest_later": True,
        }
    )


def _brings_schema(config: RunConfig) -> bool:
    return config.shipped is not None and config.shipped.has_schema


def _component(node: str) -> str:
    # KFP's local runner takes five characters off every component's name.
    return f"comp-{node.lower()}"


def _label(node: str) -> str:
    return f"exec-{node.lower()}"


def _declared(config: RunConfig) -> dict[str, Any]:
    """The run parameters as the pipeline declares them. TFX would lose the defaults."""
    if _brings_schema(config):  # what lies where it is compiled must not decide about caching
        config = config.model_copy(update={"schema_file": Path("shipped")})
    defaults = {
        "data": str(config.data),
        "span": -1 if config.span is None else config.span,
        "overrides": [],
        RUN: config.model_dump_json(),
    }
    return {
        name: {"parameterType": kind, "defaultValue": defaults[name], "isOptional": True}
        for name, kind in PARAMETERS.items()
    }


def _undeclared(prefix: str = "") -> dict[str, Any]:
    return {prefix + name: {"parameterType": kind} for name, kind in PARAMETERS.items()}


def _passed_on(prefix: str = "") -> dict[str, Any]:
    return {prefix + name: {"componentInputParameter": name} for name in PARAMETERS}


def _take_parameters(component: dict[str, Any], task: dict[str, Any]) -> None:
    """Hand the run and its parameters to a step; its own come from compiling the same run inside
    its container.
    """
    component.setdefault("inputDefinitions", {})["parameters"] = _undeclared(OWN)
    task.setdefault("inputs", {})["parameters"] = _passed_on(OWN)


def _container(
    node: str, made: Mapping[str, Any], step: Step, beam: list[str], cluster: Cluster
) -> dict[str, Any]:
    gpus = ["--gpus", str(step.gpu.count)] if step.gpu else []
    reach = ["--beam-files", str(cluster.beam_files)] if runs_elsewhere(step.beam) else []
    return {
        "image": cluster.image,
        "command": list(ENTRYPOINT),
        "args": [
            *("--task", node),
            *(
                "--executor_class_path",
                made["args"][made["args"].index("--executor_class_path") + 1],
            ),
            *("--json_serialized_invocation_args", "{{$}}"),
            *gpus,
            *reach,
            *beam,
        ],
        "resources": _resources(step),
    }


def _beam(config: RunConfig, step: Step, image: str) -> list[str]:
    if step.beam:
        return [*workers_have_tfx(image), *step.beam]  # its own come last and win
    return config.beam_on(max(1, int(cores(step.cpu))))


def _resources(step: Step) -> dict[str, Any]:
    """Limits and requests alike, in the fields of KFP 2.14 and later and, for older readers, in
    those before.
    """
    asked: dict[str, Any] = {
        "cpuLimit": cores(step.cpu),
        "cpuRequest": cores(step.cpu),
        "memoryLimit": gigabytes(step.memory),
        "memoryRequest": gigabytes(step.memory),
        "resourceCpuLimit": step.cpu,
        "resourceCpuRequest": step.cpu,
        "resourceMemoryLimit": step.memory,
        "resourceMemoryRequest": step.memory,
    }
    if step.gpu:
        count = str(step.gpu.count)
        asked["accelerator"] = {
            "type": step.gpu.type,
            "count": count,
            "resourceType": step.gpu.type,
            "resourceCount": count,
        }
    return asked


def _retry(step: Step) -> dict[str, Any]:
    """KFP's retry policy, which becomes Argo's: there the maximum is no bound on one wait but a
    deadline for the whole step, counted from the start of its first attempt, and 0 if left out.
    """
    return {
        "maxRetryCount": step.retry.count,
        "backoffDuration": f"{step.retry.backoff_seconds}s",
        "backoffFactor": step.retry.factor,
        "backoffMaxDuration": f"{step.retry.max_duration_hours * 3600}s",
    }


def _placement(step: Step, cluster: Cluster) -> dict[str, Any]:
    """Where a step's pod goes and what it mounts, as a KubernetesExecutorConfig."""
    config = KubernetesExecutorConfig()
    if step.node_selector:
        config.node_selector.labels.update(step.node_selector)
    for wanted in step.tolerations:
        taint = config.tolerations.add(
            key=wanted.key, operator=wanted.operator, value=wanted.value, effect=wanted.effect
        )
        if wanted.toleration_seconds is not None:
            taint.toleration_seconds = wanted.toleration_seconds
    for volume in cluster.volumes:
        mount = config.pvc_mount.add(constant=volume.claim, mount_path=str(volume.mount))
        mount.pvc_name_parameter.runtime_value.constant.string_value = volume.claim
    for secret in cluster.secrets:
        given = config.secret_as_env.add(secret_name=secret.secret, optional=False)
        given.secret_name_parameter.runtime_value.constant.string_value = secret.secret
        for variable, key in secret.env.items():
            given.key_to_env.add(secret_key=key, env_var=variable)
    if step.shared_memory:
        # A memory-backed volume: KFP's own field for shared memory is read by none of its drivers.
        config.empty_dir_mounts.add(
            volume_name=SHARED_MEMORY,
            mount_path=SHARED_MEMORY_MOUNT,
            medium="Memory",
            size_limit=step.shared_memory,
        )
    if cluster.image_pull_policy:
        config.image_pull_policy = cluster.image_pull_policy
    if cluster.image_pull_secret:
        pull = config.image_pull_secret.add(secret_name=cluster.image_pull_secret)
        pull.secret_name_parameter.runtime_value.constant.string_value = cluster.image_pull_secret
    return json_format.MessageToDict(config)


def _with_exit_handler(spec: dict[str, Any], cluster: Cluster) -> None:
    """Put all steps into a DAG of their own and let an alert follow it, whether it went well or
    not.
    """
    whole = spec["root"]
    spec["components"][_component(_DAG)] = {
        "dag": whole["dag"],
        "inputDefinitions": {"parameters": _undeclared()},
    }
    spec["components"][_component(EXIT)] = {
        "executorLabel": _label(EXIT),
        "inputDefinitions": {
            "parameters": {"status": {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}}
        },
    }
    spec["deploymentSpec"]["executors"][_label(EXIT)] = {
        "container": {
            "image": cluster.image,
            "command": list(ALERT),
            "args": [
                "--status",
                "{{$.inputs.parameters['status']}}",
                "--records",
                str(cluster.records),
            ],
            "resources": _resources(cluster.step(EXIT)),
        }
    }
    spec["root"] = {
        "inputDefinitions": whole["inputDefinitions"],
        "dag": {
            "tasks": {
                _DAG: {
                    "taskInfo": {"name": _DAG},
                    "componentRef": {"name": _component(_DAG)},
                    "inputs": {"parameters": _passed_on()},
                },
                EXIT: {
                    "taskInfo": {"name": EXIT},
                    "componentRef": {"name": _component(EXIT)},
                    "cachingOptions": {},
                    "dependentTasks": [_DAG],
                    "inputs": {
                        "parameters": {"status": {"taskFinalStatus": {"producerTask": _DAG}}}
                    },
                    "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
                },
            }
        },
    }
