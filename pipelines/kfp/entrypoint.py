"""What every step's container runs on Kubeflow Pipelines: adapts KFP's launcher to TFX's executors.

    python -m pipelines.kfp.entrypoint --task NODE [--executor_class_path CLASS]
        --json_serialized_invocation_args EXECUTOR_INPUT [--gpus N] [--beam-files FOLDER] [BEAM
        ARGUMENTS]

The launcher hands over an ExecutorInput whose input artifacts have lost their types, whose URIs are
remote although the files were staged on local paths, and with an output TFX does not know. What a
step has to do is not read from there: the pipeline is put together again from the run's
configuration and this run's parameters, which is what lets a recipe be overridden without compiling
anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from components.staging import staged
from pipelines.config import RunConfig
from pipelines.kfp.beam_files import has_beam_stages, within_reach
from pipelines.kfp.input_state import STATE, check_unchanged, input_state, leave
from pipelines.kfp.ui_artifacts import leave_ui_artifacts, take_ui_outputs
from pipelines.kfp.volumes import require_writable
from pipelines.kfp.worker_steps import RUN_ID, take_place, without_outputs
from pipelines.nodes import INGEST
from pipelines.shipped import with_shipped_schema
from twintrain.errors import TwintrainError
from twintrain.processes.isolated import hide_gpus, run_isolated
from twintrain.processes.worker_group import SEEDS_AT_A_TIME

LOGS = "executor-logs"  # an output that KFP's launcher adds and fills itself


def main(arguments: list[str]) -> int:
    """Run one step.

    Returns:
        0 when it went through, 2 for a foreseen problem, 1 for any other.
    """
    asked, beam = _parse(arguments)
    hide_gpus()
    try:
        if asked.gpus:
            from twintrain.processes.gpus import require_gpus

            run_isolated(require_gpus, asked.gpus)
        given = json.loads(asked.json_serialized_invocation_args)
        run_step(
            asked.task,
            asked.executor_class_path,
            given,
            beam,
            (asked.group, asked.member),
            asked.beam_files,
        )
    except Exception as error:
        from pipelines.local.engine import foreseen

        known = foreseen(error)
        if known is None:
            traceback.print_exc()
            return 1
        print(f"Error: {known.problem}\n{known.remedy}", file=sys.stderr, flush=True)
        return 2
    return 0


def run_step(
    task: str,
    executor: str,
    given: dict[str, Any],
    beam: list[str],
    place: tuple[int, int] = (1, 0),
    beam_files: Path | None = None,
) -> None:
    """Run a step's executor on what the launcher handed over, and leave what the launcher expects.

    Args:
        task: the node's id.
        executor: class path of its executor.
        given: an ExecutorInput as JSON.
        beam: arguments for its Beam stages.
        place: how many steps share the node's work, and which of them this is.
        beam_files: folder that Beam's workers reach too, if they are outside this step's container.

    Raises:
        TwintrainError: this run's parameters do not fit the compiled pipeline, or the step found a
            foreseen problem.
    """
    from pipelines.kfp.runner import OWN

    parameters = given["inputs"].pop("parameterValues")
    run = parameters.pop(RUN_ID, "")
    handed = {name.removeprefix(OWN): value for name, value in parameters.items()}
    config, spec = _this_run(handed, looks=task in (STATE, INGEST))
    if task == STATE:
        require_writable(config)
        leave(input_state(config), given)
        return
    component, constants = _this_step(spec, task)
    os.environ[SEEDS_AT_A_TIME] = str(config.seeds_at_a_time)
    size, member = place
    if size > 1:
        take_place(config.recipe, task, size, member, config.root / "groups" / run / task)
    if member:
        without_outputs(given, component)
    shown = take_ui_outputs(given)
    _adopt(given, component, constants)
    remote = localize(given)
    with _reach(given, beam_files, executor, task) as moved:
        _make_folders(given)
        found = _drive(given, component) if task == INGEST else {}
        check_unchanged(task, handed, config)
        _execute(executor, given, component, beam)
    remote |= {shared: remote.get(local, local) for shared, local in moved.items()}
    globalize(Path(given["outputs"]["outputFile"]), remote, found)
    leave_ui_artifacts(shown, given)


def _reach(
    given: dict[str, Any], beam_files: Path | None, executor: str, task: str
) -> AbstractContextManager[dict[str, str]]:
    """Where Beam's workers are elsewhere: the step's files, for a while, where they reach them."""
    if beam_files and has_beam_stages(executor):
        return within_reach(given, beam_files, task)
    return nullcontext({})


def _make_folders(given: dict[str, Any]) -> None:
    """Make the folders of the output artifacts, as TFX's own drivers do."""
    for artifacts in given["outputs"].get("artifacts", {}).values():
        Path(artifacts["artifacts"][0]["uri"]).mkdir(parents=True, exist_ok=True)


def _execute(
    executor: str, given: dict[str, Any], component: dict[str, Any], beam: list[str]
) -> None:
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as tfx_executor

    call = [
        "--executor_class_path",
        executor,
        "--json_serialized_invocation_args",
        json.dumps(given),
    ]
    call += [
        "--json_serialized_inputs_spec_args",
        json.dumps(component.get("inputDefinitions", {})),
    ]
    # absl's flags would take the process's own arguments for theirs, so the parser is called, not
    # its `app.run`.
    tfx_executor.main(tfx_executor._parse_flags([*call, *beam]))


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.kfp.entrypoint",
        description="Run one step of the pipeline inside its container. Kubeflow Pipelines calls "
        "this.",
        epilog="Whatever else is given goes to Beam.",
    )
    parser.add_argument("--task", required=True, help="the node's id, Trainer-fit for instance")
    parser.add_argument(
        "--executor_class_path", default="", help="class of the node's TFX executor, if it has one"
    )
    parser.add_argument(
        "--json_serialized_invocation_args", required=True, help="KFP's ExecutorInput, as JSON"
    )
    parser.add_argument("--gpus", type=int, default=0, help="how many GPUs this step was promised")
    parser.add_argument(
        "--group", type=int, default=1, help="how many steps share this node's work"
    )
    parser.add_argument(
        "--member", type=int, default=0, help="which of them this is; 0 leaves the result"
    )
    parser.add_argument(
        "--beam-files",
        type=Path,
        help="folder that Beam's workers outside this container reach too",
    )
    return parser.parse_known_args(arguments)


def _this_run(handed: dict[str, Any], looks: bool) -> tuple[RunConfig, dict[str, Any]]:
    """For this run's parameters: its configuration and what TFX makes of it. `looks` where the data
    is looked at.
    """
    from pipelines.kfp.runner import RUN, tfx_spec

    compiled = _config(json.loads(handed[RUN]), {}, False)
    config = _config(json.loads(handed[RUN]), handed, looks)
    spec = tfx_spec(config)
    tasks = spec["root"]["dag"]["tasks"]
    if config.recipe != compiled.recipe:
        before = tfx_spec(compiled)["root"]["dag"]["tasks"]
        if _edges(tasks) != _edges(before):
            raise TwintrainError(
                f"The overrides {handed.get('overrides')} change which steps there are or what "
                "feeds "
                "them.",
                "Compile the pipeline anew with them: twintrain kubeflow compile --set KEY=VALUE",
            )
    return config, spec


def _this_step(spec: dict[str, Any], task: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A step's component, and the constants it is called with."""
    values = spec["root"]["dag"]["tasks"][task].get("inputs", {}).get("parameters", {})
    constants = {name: value["runtimeValue"]["constant"] for name, value in values.items()}
    return spec["components"][task], constants


def _edges(tasks: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What each task is fed by, and what it waits for."""
    return {
        name: (task.get("inputs", {}).get("artifacts"), task.get("dependentTasks"))
        for name, task in tasks.items()
    }


def _config(run: dict[str, Any], parameters: dict[str, Any], looks: bool) -> RunConfig:
    from twintrain.recipe.files import with_overrides

    config = RunConfig.model_validate(run)
    overrides = parameters.get("overrides") or []
    if not isinstance(overrides, list) or any(not isinstance(text, str) for text in overrides):
        raise TwintrainError(
            f"overrides must be a list of texts, not {overrides!r}.", '["training.epochs=10"]'
        )
    span = int(parameters.get("span", -1))
    if config.shipped is not None:
        schema = with_shipped_schema(config.shipped, config.schema_file)
        config = config.model_copy(update={"schema_file": schema})
    return config.model_copy(
        update={
            "recipe": with_overrides(config.recipe, overrides),
            "data": Path(parameters.get("data") or config.data),
            "span": config.span if span < 0 else span,
            "ingest_later": not looks,
        }
    )


def _adopt(given: dict[str, Any], component: dict[str, Any], constants: dict[str, Any]) -> None:
    """Give the artifacts the types and the step the parameters that the pipeline has for them."""
    given["inputs"]["parameterValues"] = constants
    given["outputs"].get("artifacts", {}).pop(LOGS, None)
    for side, definitions in (("inputs", "inputDefinitions"), ("outputs", "outputDefinitions")):
        known = component.get(definitions, {}).get("artifacts", {})
        for name, artifacts in given[side].get("artifacts", {}).items():
            for artifact in artifacts["artifacts"]:
                artifact["type"] = _importable(known[name]["artifactType"])
                # TFX makes an artifact's id from its name and looks names up by id. With ML
                # Metadata an input's name is its id; without, it is its output's key, which two
                # inputs may share, and the id stands beside it.
                identity = artifact.pop("artifactId", "") or artifact.get("name")
                artifact["name"] = identity or artifact["uri"]


def _importable(artifact_type: dict[str, Any]) -> dict[str, Any]:
    """An artifact's type with a title that TFX finds the class by: its import path, for types of
    our own.
    """
    schema = artifact_type.get("instanceSchema", "")
    return {
        **artifact_type,
        "instanceSchema": schema.replace("title: twintrain.", "title: components.artifacts."),
    }


def localize(given: dict[str, Any]) -> dict[str, str]:
    """Replace remote URIs by the local paths the launcher stages them under.

    Returns:
        for every output artifact that was remote, its URI by its local path.
    """
    remote = {}
    for side in ("inputs", "outputs"):
        for artifacts in given[side].get("artifacts", {}).values():
            for artifact in artifacts["artifacts"]:
                local = staged(artifact["uri"])
                if side == "outputs" and local != artifact["uri"]:
                    remote[local] = artifact["uri"]
                artifact["uri"] = local
    return remote


def globalize(output: Path, remote: dict[str, str], found: dict[str, Any]) -> None:
    """Put the remote URIs back into the ExecutorOutput that TFX has left, and add what a driver
    found out before.

    Args:
        output: the file.
        remote: from `localize`.
        found: further metadata of every output artifact.
    """
    left = json.loads(output.read_text(encoding="utf-8"))
    for artifacts in left.get("artifacts", {}).values():
        for artifact in artifacts["artifacts"]:
            artifact["uri"] = remote.get(artifact["uri"], artifact["uri"])
            artifact["metadata"] = found | artifact.get("metadata", {})
    output.write_text(json.dumps(left), encoding="utf-8")


def _drive(given: dict[str, Any], component: dict[str, Any]) -> dict[str, Any]:
    """Resolve the span and fingerprint the files: TFX's driver for file-based ExampleGen, which KFP
    never calls.

    Returns:
        the examples' metadata as the driver has it, span and fingerprint; TFX's executor leaves
        them out.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentInputsSpec, ExecutorInput
    from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver

    spec = json_format.ParseDict(
        component["inputDefinitions"], ComponentInputsSpec(), ignore_unknown_fields=True
    )
    driver._run_driver(
        json_format.ParseDict(given, ExecutorInput(), ignore_unknown_fields=True), spec
    )
    output = json.loads(Path(given["outputs"]["outputFile"]).read_text(encoding="utf-8"))
    metadata: dict[str, Any] = output["artifacts"]["examples"]["artifacts"][0]["metadata"]
    return metadata


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
