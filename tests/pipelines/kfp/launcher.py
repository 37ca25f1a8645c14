"""What KFP's launcher does around a container, replayed on this machine with directories in place
of a bucket.

From kubeflow/pipelines 2.17, backend/src/v2: driver/driver.go (`provisionOutputs`: names, URIs, the
added logs output, the place of the output file), metadata/client.go (an input's instance schema
arrives empty), component/launcher_v2.go (inputs are downloaded to, and outputs uploaded from, the
local path of their URI; metadata is merged), cacheutils/cache.go (what a step is looked up by: ids
of its input artifacts, parameters, command, image; a hit gives the artifacts of then), and
driver/resolve.go (the final state that a step after all others is handed).

`native` replays the same without ML Metadata, from pull request 13986 at 6585b5143d
(driver/resolver/parameters.go, driver/container.go, component/launcher_v2.go): an input has its
output's key as name and its id beside it, its type is a schema title, the final state is KFP's own,
and the values of system.Metrics must be numbers."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import ExecutorOutput

from components import staging
from pipelines.kfp import alert, entrypoint

RUN_ID = "3f2a"
CACHED = -1


def stage_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging directories below a test's own folder, and no trace of hidden GPUs afterwards."""
    for scheme in staging.FOLDERS:
        monkeypatch.setitem(staging.FOLDERS, scheme, f"{folder}/{scheme.removesuffix('://')}/")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    monkeypatch.setenv("TWINTRAIN_TRAINERS_SEE_DEVICES", "unset")


class Launcher:
    """Runs a compiled pipeline's tasks one by one.

    Args:
        spec: the PipelineSpec.
        root: the pipeline root, a minio:// or s3:// URI.
        folder: `bucket` below it holds what was uploaded; staged files must be below `folder` too
            (`staging.FOLDERS`).
        parameters: this run's values of the pipeline's parameters.
        native: as a server without ML Metadata.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        root: str,
        folder: Path,
        parameters: dict[str, Any],
        native: bool = False,
    ) -> None:
        self.native = native
        tasks = spec["root"]["dag"]["tasks"]
        self.exit = {name: task for name, task in tasks.items() if "triggerPolicy" in task}
        if self.exit:
            tasks = spec["components"]["comp-pipeline"]["dag"]["tasks"]
        self.dag, self.spec, self.root = tasks, spec, root
        self.bucket, self.folder = folder / "bucket", folder
        declared = spec["root"]["inputDefinitions"]["parameters"]
        self.parameters = {name: one["defaultValue"] for name, one in declared.items()} | parameters
        self.outputs: dict[tuple[str, str], dict[str, Any]] = {}
        self.left: dict[tuple[str, str], Any] = {}  # output parameters
        self.known: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}  # the cache
        self.run_id, self._ids = RUN_ID, itertools.count(1)

    def order(self) -> list[str]:
        """Every task after those it depends on."""
        done: list[str] = []
        while len(done) < len(self.dag):
            done += [
                name
                for name, task in sorted(self.dag.items())
                if name not in done and set(task.get("dependentTasks", [])) <= set(done)
            ]
        return done

    def needs(self, name: str) -> list[str]:
        """The tasks whose outputs a task takes, each after those whose outputs it takes itself."""
        found: dict[str, None] = {}
        inputs = self.dag[name].get("inputs", {})
        for kind, key in (
            ("artifacts", "taskOutputArtifact"),
            ("parameters", "taskOutputParameter"),
        ):
            for source in inputs.get(kind, {}).values():
                if key in source:
                    before = source[key]["producerTask"]
                    found |= dict.fromkeys([*self.needs(before), before])
        return list(found)

    def run(self, name: str) -> int:
        """One task; the exit status of its container, CACHED where none was started."""
        task = self.dag[name]
        component = self.spec["components"][task["componentRef"]["name"]]
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]][
            "container"
        ]
        for scheme in staging.FOLDERS.values():
            shutil.rmtree(scheme, ignore_errors=True)  # a pod starts with nothing
        given = self._executor_input(name, task, component)
        assert container["command"] == ["python", "-m", "pipelines.kfp.entrypoint"]
        key = self._key(given, container)
        if task["cachingOptions"].get("enableCache") and key in self.known:
            self.outputs |= self.known[key]
            return CACHED
        arguments = [json.dumps(given) if part == "{{$}}" else part for part in container["args"]]
        status = entrypoint.main(arguments)
        if status == 0:
            self._upload(name, given)
            self._keep(name, given, component)
            self.known[key] = {
                place: one for place, one in self.outputs.items() if place[0] == name
            }
        return status

    def _key(self, given: dict[str, Any], container: dict[str, Any]) -> str:
        inputs = given["inputs"]
        ids = {
            key: [one.get("artifactId") or one["name"] for one in lists["artifacts"]]
            for key, lists in inputs["artifacts"].items()
        }
        outputs = sorted(given["outputs"]["artifacts"])
        by = [
            ids,
            inputs["parameterValues"],
            outputs,
            container["image"],
            container["command"],
            container["args"],
        ]
        return json.dumps(by, sort_keys=True)

    def _executor_input(
        self, name: str, task: dict[str, Any], component: dict[str, Any]
    ) -> dict[str, Any]:
        inputs = {}
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            wanted = source["taskOutputArtifact"]
            artifact = self.outputs[wanted["producerTask"], wanted["outputArtifactKey"]]
            shutil.copytree(self._object(artifact["uri"]), staging.staged(artifact["uri"]))
            kind = {"instanceSchema": ""}
            if self.native:
                kind = {"schemaTitle": artifact["type"]["instanceSchema"]}
            inputs[key] = {"artifacts": [artifact | {"type": kind}]}
        home = f"{self.root}/{name}/{self.run_id}"
        outputs = {
            key: {
                "artifacts": [
                    {
                        "name": key,
                        "uri": f"{home}/{key}",
                        "type": one["artifactType"],
                        "metadata": {},
                    }
                ]
            }
            for key, one in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        }
        logs = {
            "name": "executor-logs",
            "uri": f"{home}/executor-logs",
            "type": {"schemaTitle": "system.Artifact"},
        }
        outputs["executor-logs"] = {"artifacts": [logs]}
        local = Path(staging.staged(home))
        local.mkdir(parents=True)
        handed = {key: self._value(source) for key, source in task["inputs"]["parameters"].items()}
        assert set(handed) == set(component["inputDefinitions"]["parameters"])
        parameters = {
            key: {"outputFile": str(local / "parameters" / key)}
            for key in component.get("outputDefinitions", {}).get("parameters", {})
        }
        return {
            "inputs": {"artifacts": inputs, "parameterValues": handed},
            "outputs": {
                "artifacts": outputs,
                "parameters": parameters,
                "outputFile": str(local / "output_metadata.json"),
            },
        }

    def _value(self, source: dict[str, Any]) -> Any:
        if "componentInputParameter" in source:
            return self.parameters[source["componentInputParameter"]]
        if "taskOutputParameter" in source:
            return self.left[
                source["taskOutputParameter"]["producerTask"],
                source["taskOutputParameter"]["outputParameterKey"],
            ]
        # driver/resolve.go fills in this placeholder, and only here
        assert source["runtimeValue"]["constant"] == "{{$.pipeline_job_uuid}}"
        return self.run_id

    def _keep(self, name: str, given: dict[str, Any], component: dict[str, Any]) -> None:
        for key, output in given["outputs"]["parameters"].items():
            text = Path(output["outputFile"]).read_text(encoding="utf-8")
            kind = component["outputDefinitions"]["parameters"][key]["parameterType"]
            self.left[name, key] = text if kind == "STRING" else json.loads(text)

    def _upload(self, name: str, given: dict[str, Any]) -> None:
        path = Path(given["outputs"]["outputFile"])
        # As KFP: a step need not leave one, and what it leaves is parsed as strictly.
        text = path.read_text(encoding="utf-8") if path.exists() else "{}"
        left = json_format.MessageToDict(json_format.Parse(text, ExecutorOutput()))
        for key, artifacts in given["outputs"]["artifacts"].items():
            if key == "executor-logs":
                assert key not in left.get("artifacts", {})
                continue
            (artifact,) = artifacts["artifacts"]
            (told,) = left["artifacts"][key]["artifacts"]
            assert told["uri"] == artifact["uri"]
            metadata = artifact["metadata"] | told.get("metadata", {})
            self._upload_one(artifact, metadata, f"{name} left nothing for {key}")
            # converter.go: what reads the artifact finds its id under `name`.
            number = str(next(self._ids))
            own = {"name": key, "artifactId": number} if self.native else {"name": number}
            self.outputs[name, key] = artifact | own | {"metadata": metadata}

    def _upload_one(self, artifact: dict[str, Any], metadata: dict[str, Any], nothing: str) -> None:
        """KFP's own kinds of artifacts are files, or nothing but metadata; TFX's are folders."""
        local = Path(staging.staged(artifact["uri"]))
        title = artifact["type"].get("schemaTitle", "")
        if title in ("system.Metrics", "system.ClassificationMetrics"):
            numbers = all(isinstance(value, float) for value in metadata.values())
            assert numbers or title != "system.Metrics", metadata
            return
        assert local.is_file() if title == "system.HTML" else local.is_dir(), nothing
        target = self._object(artifact["uri"])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(local, target) if local.is_file() else shutil.copytree(local, target)

    def run_exit(self, name: str, went_well: bool) -> int:
        """The task after all others: its exit status."""
        component = self.spec["components"][self.exit[name]["componentRef"]["name"]]
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]][
            "container"
        ]
        good, bad = ("SUCCEEDED", "FAILED") if self.native else ("COMPLETE", "FAILED")
        (dag,) = self.exit[name]["dependentTasks"]
        parameters = self.exit[name]["inputs"]["parameters"]
        assert {one["taskFinalStatus"]["producerTask"] for one in parameters.values()} == {dag}
        status = {
            "state": good if went_well else bad,
            "error": {"message": "OOM"} if self.native and not went_well else {},
            "pipelineTaskName": dag,
            "pipelineJobResourceName": f"twintrain-{self.run_id}",
        }
        values = {f"{{{{$.inputs.parameters['{key}']}}}}": json.dumps(status) for key in parameters}
        assert container["command"] == ["python", "-m", "pipelines.kfp.alert"]
        return alert.main([values.get(part, part) for part in container["args"]])

    def _object(self, uri: str) -> Path:
        return self.bucket / uri.split("://")[1]
