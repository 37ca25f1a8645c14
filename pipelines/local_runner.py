"""Runs the pipeline on this machine: `python -m pipelines.local_runner REQUEST.json`.

The nodes run one after the other as under TFX's LocalDagRunner, and each tells when it starts, ends, or is taken from
an earlier run. The command line starts this as a child process: TensorFlow's and Beam's chatter goes to a log file,
the terminal stays readable, and Ctrl-C ends everything.
"""

from __future__ import annotations

import datetime
import sys
import time
import traceback
from pathlib import Path

from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.orchestration.portable.mlmd import execution_lib  # noqa: F401 - registers MLMD types
from tfx.proto.orchestration import pipeline_pb2
from ml_metadata.proto import metadata_store_pb2

from pipelines.config import RunConfig
from pipelines.twin_pipeline import create_pipeline
from twintrain.errors import TwintrainError
from twintrain.isolation import hide_gpus
from twintrain.progress import tell

_CACHED = metadata_store_pb2.Execution.CACHED


class ProgressDagRunner(tfx_runner.IrBasedRunner):
    """TFX's LocalDagRunner, but told node by node. (LocalDagRunner offers no hook for that.)"""

    def run_with_ir(
        self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None
    ) -> None:
        """Run all nodes in order. `run_options` (partial runs) are not used: caching does the same here."""
        run_id = datetime.datetime.now().isoformat()
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        which = deployment.metadata_connection_config.WhichOneof("connection_config")
        connection = getattr(deployment.metadata_connection_config, which)
        names = [node.pipeline_node.node_info.id for node in pipeline.nodes]
        tell("plan", nodes=names)
        for node, name in zip(pipeline.nodes, names, strict=True):
            tell("node_started", node=name)
            started = time.perf_counter()
            info = launcher.Launcher(
                pipeline_node=node.pipeline_node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, name),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
            ).launch()
            cached = info is not None and _is_cached(connection, info.execution_id)
            tell("node_finished", node=name, seconds=time.perf_counter() - started, cached=cached)


def _is_cached(connection: metadata_store_pb2.ConnectionConfig, execution_id: int) -> bool:
    with metadata.Metadata(connection) as handle:
        (execution,) = handle.store.get_executions_by_id([execution_id])
    return bool(execution.last_known_state == _CACHED)


def foreseen(error: BaseException | None) -> TwintrainError | None:
    """The `TwintrainError` behind an exception: Beam and TFX wrap what a worker raised."""
    while error is not None:
        if isinstance(error, TwintrainError):
            return error
        error = error.__cause__ or error.__context__
    return None


def main(request: Path) -> int:
    """Run what the request, a `RunConfig` in JSON, asks for.

    Returns:
        0 when the run went through, 2 for a foreseen problem, 1 for any other.
    """
    config = RunConfig.model_validate_json(request.read_text(encoding="utf-8"))
    hide_gpus()
    try:
        ProgressDagRunner().run(create_pipeline(config))
    except Exception as error:
        traceback.print_exc()
        known = foreseen(error)
        if known is None:
            tell("failed", problem=f"{type(error).__name__}: {error}", remedy="", foreseen=False)
            return 1
        tell("failed", problem=known.problem, remedy=known.remedy, foreseen=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
