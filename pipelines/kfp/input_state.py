"""A step before all others on Kubeflow Pipelines: what data, schema and code are there now?

KFP's cache goes by the ids of a step's input artifacts, and whatever reads from outside must run
every time, which makes new artifacts every time: nothing after it would ever be taken from an
earlier run. So this step alone always runs. It leaves parameters, by which ingestion and the
schema's import are looked up, and with them every step after them. Each node is also looked up by
the code that decides its result, so that a change under one image name costs no more than it must.
"""

from __future__ import annotations

import copy
import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

from pipelines.config import REPOSITORY, RunConfig
from pipelines.nodes import INGEST, NODES, SCHEMA, Node
from pipelines.provenance import code_digest
from twintrain.errors import TwintrainError

STATE = "InputState"
_READ = {"span": "NUMBER_INTEGER", "files": "STRING", "schema": "STRING"}
# How the nodes are put together, and what runs them: counts for every one.
COMMON = ("pipelines/config.py", "pipelines/kfp/entrypoint.py", "pipelines/twin_pipeline.py")
CODE = "code"  # what the digest of its own code is called in every step that has one


def _code_of(node: Node) -> str:
    """The parameter that holds the digest of a node's code."""
    return f"{CODE}_{node.id.lower().replace('-', '_')}"


OUTPUTS = _READ | {_code_of(node): "STRING" for node in NODES if node.code}


def handed(node: Node) -> dict[str, str]:
    """What a node is handed: parameters of this step, by the name they have there."""
    return {name: name for name in node.reads} | ({CODE: _code_of(node)} if node.code else {})


def add_input_state(spec: dict[str, Any], platform: dict[str, Any], prefix: str) -> None:
    """Put the step before those that read from outside, where ingestion runs and with as much of
    everything.

    Args:
        spec: a PipelineSpec in which all nodes are tasks of the root; changed in place.
        platform: per executor, where it is placed; changed in place.
        prefix: of the run parameters' names in a step.
    """
    tasks, components = spec["root"]["dag"]["tasks"], spec["components"]
    executors = spec["deploymentSpec"]["executors"]
    ingest = tasks[INGEST]
    model = components[ingest["componentRef"]["name"]]
    label = f"exec-{STATE.lower()}"
    components[f"comp-{STATE.lower()}"] = {
        "executorLabel": label,
        "inputDefinitions": copy.deepcopy(model["inputDefinitions"]),
        "outputDefinitions": {
            "parameters": {name: {"parameterType": kind} for name, kind in OUTPUTS.items()}
        },
    }
    container = executors[model["executorLabel"]]["container"]
    arguments = ["--task", STATE, "--json_serialized_invocation_args", "{{$}}"]
    executors[label] = {"container": container | {"args": arguments}}
    if model["executorLabel"] in platform:
        platform[label] = platform[model["executorLabel"]]
    tasks[STATE] = copy.deepcopy(ingest) | {
        "taskInfo": {"name": STATE},
        "componentRef": {"name": f"comp-{STATE.lower()}"},
        "cachingOptions": {},
    }
    for node in NODES:
        if node.id in tasks:
            task = tasks[node.id]
            _hand(node, task, components[task["componentRef"]["name"]], prefix)


def _hand(node: Node, task: dict[str, Any], component: dict[str, Any], prefix: str) -> None:
    """Make a step wait for this one, and hand it what it is looked up by."""
    if handed(node):
        task["dependentTasks"] = [*task.get("dependentTasks", []), STATE]
    for name, output in handed(node).items():
        kind = {"parameterType": OUTPUTS[output]}
        source = {"producerTask": STATE, "outputParameterKey": output}
        component["inputDefinitions"]["parameters"][prefix + name] = kind
        task["inputs"]["parameters"][prefix + name] = {"taskOutputParameter": source}


def input_state(config: RunConfig) -> dict[str, int | str]:
    """What is there now.

    Args:
        config: of the run, in a place where data and schema can be seen.

    Returns:
        values of `OUTPUTS`: the span that is taken (-1 for data without spans), TFX's fingerprint
            of its files, SHA-256 of the schema and of each node's code.

    Raises:
        TwintrainError: there are no such data or no such schema, or no span is complete.
    """
    span, files = _files(config)
    return {
        "span": -1 if span is None else span,
        "files": files,
        "schema": _schema(config),
        **_codes(config),
    }


def _files(config: RunConfig) -> tuple[int | None, str]:
    """The span that is taken, and what TFX's driver will know its files by."""
    from components import example_gen, table_example_gen
    from twintrain.data.spans import choose_span

    own = config.recipe.problem.module is not None
    one_file = own and config.data.is_file()
    span, skipped = (None, []) if one_file else choose_span(config.data, config.span)
    for line in skipped:
        print(f"{line} Taking span {span}.", flush=True)
    fingerprint = table_example_gen.fingerprint if own else example_gen.fingerprint
    return span, fingerprint(config.data, span)


def _codes(config: RunConfig) -> dict[str, int | str]:
    """Per node, of all that decides its result and may change under one image name."""
    common = hashlib.sha256()
    for name in COMMON:
        common.update(name.encode() + (REPOSITORY / name).read_bytes())
    for package in sorted(f"{one.name}=={one.version}" for one in metadata.distributions()):
        common.update(package.encode())
    return {
        _code_of(node): hashlib.sha256(
            common.digest() + code_digest(config.recipe, node.id).encode()
        ).hexdigest()
        for node in NODES
        if node.code
    }


def leave(state: dict[str, int | str], given: dict[str, Any]) -> None:
    """Write the parameters where KFP's launcher looks for them."""
    for name, output in given["outputs"]["parameters"].items():
        path = Path(output["outputFile"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(state[name]), encoding="utf-8")
        print(f"{name}: {state[name]}", flush=True)


def check_unchanged(node: str, parameters: dict[str, Any], config: RunConfig) -> None:
    """See that a step has read what it was looked up by in the cache.

    Args:
        node: the step.
        parameters: the run's parameters as the step was handed them.
        config: of the run.

    Raises:
        TwintrainError: something was replaced since the run began.
    """
    changed = node == INGEST and parameters.get("files") not in (None, _files(config)[1])
    changed |= node == SCHEMA and parameters.get("schema") not in (None, _schema(config))
    if changed:
        what = config.data if node == INGEST else config.schema_file
        raise TwintrainError(
            f"{what} was changed while the run was under way.",
            "Start the run again once it is written.",
        )


def _schema(config: RunConfig) -> str:
    try:
        return hashlib.sha256(config.schema_file.read_bytes()).hexdigest()
    except OSError as error:
        problem = f"The schema {config.schema_file} cannot be read: {error.strerror}."
        raise TwintrainError(problem, "Correct `schema` in cluster.yaml.") from error
