"""Steps beside a step: further workers of a tuner, further machines of a trainer, each in a pod of
its own.

They have the node's inputs, resources and place, and no outputs: what the node's own step, member
0, leaves is the result. They meet in a folder of this run below `work`, which must therefore be on
a volume that all pods share.
"""

from __future__ import annotations

import copy
import os
import tempfile
from pathlib import Path
from typing import Any

from pipelines.nodes import trainer_of, tuner_of
from twintrain.errors import TwintrainError
from twintrain.processes.worker_group import VARIABLE, WorkerGroup
from twintrain.recipe.recipe import TWINS, Recipe

RUN_ID = "run_id"  # a step's parameter; KFP's driver puts the run's id in the placeholder's place
_PLACEHOLDER = "{{$.pipeline_job_uuid}}"


def group_size(recipe: Recipe, node: str) -> int:
    """How many processes a node's work is shared by."""
    for twin in TWINS:
        if node == tuner_of(twin):
            return recipe.tuning.workers
        execution = recipe.for_twin(twin).execution
        if node == trainer_of(twin) and execution.strategy == "multi_worker":
            return execution.machines
    return 1


def add_worker_steps(spec: dict[str, Any], platform: dict[str, Any], recipe: Recipe) -> None:
    """Give every node that several share a step per further member.

    Args:
        spec: a PipelineSpec in which all nodes are tasks of the root; changed in place.
        platform: per executor, where it is placed; changed in place.
        recipe: says how many there are.
    """
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    executors = spec["deploymentSpec"]["executors"]
    for node in list(tasks):
        size = group_size(recipe, node)
        if size == 1:
            continue
        task, component = tasks[node], components[tasks[node]["componentRef"]["name"]]
        # A result from the cache has no use for helpers, and helpers from the cache help nobody.
        task["cachingOptions"] = {}
        component["inputDefinitions"]["parameters"][RUN_ID] = {"parameterType": "STRING"}
        task["inputs"]["parameters"][RUN_ID] = {"runtimeValue": {"constant": _PLACEHOLDER}}
        label = component["executorLabel"]
        container = executors[label]["container"]
        for member in range(1, size):
            name, own = f"{node}-worker-{member}", f"{label}-worker-{member}"
            helper = copy.deepcopy(component) | {"executorLabel": own}
            helper.pop("outputDefinitions", None)
            reference = f"{task['componentRef']['name']}-worker-{member}"
            components[reference] = helper
            executors[own] = {
                "container": container | {"args": [*container["args"], *_place(size, member)]}
            }
            if label in platform:
                platform[own] = platform[label]
            tasks[name] = copy.deepcopy(task) | {
                "componentRef": {"name": reference},
                "taskInfo": {"name": name},
            }
        container["args"] = [*container["args"], *_place(size, 0)]


def take_place(recipe: Recipe, node: str, size: int, member: int, meeting: Path) -> None:
    """Make this process, and those it starts, a member of the group.

    Raises:
        TwintrainError: this run's recipe asks for a group of another size than the compiled
            pipeline has steps for.
    """
    wanted = group_size(recipe, node)
    if wanted != size:
        raise TwintrainError(
            f"The pipeline was compiled with {size} steps for {node}, and this run's recipe asks "
            f"for {wanted}.",
            "Compile the pipeline anew with that recipe: twintrain kubeflow compile --set "
            "KEY=VALUE",
        )
    os.environ[VARIABLE] = WorkerGroup(member, size, meeting).environment[VARIABLE]


def without_outputs(given: dict[str, Any], component: dict[str, Any]) -> None:
    """Let a helper's executor write what it likes, to where nobody looks."""
    scratch = Path(tempfile.mkdtemp(prefix="twintrain-helper-"))
    Path(given["outputs"]["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
    Path(given["outputs"]["outputFile"]).write_text("{}", encoding="utf-8")
    given["outputs"] = {
        "outputFile": str(scratch / "output.json"),
        "artifacts": {
            name: {"artifacts": [{"name": name, "uri": str(scratch / name), "metadata": {}}]}
            for name in component.get("outputDefinitions", {}).get("artifacts", {})
        },
    }


def _place(size: int, member: int) -> list[str]:
    return ["--group", str(size), "--member", str(member)]
