"""Runs the pipeline on this machine, node by node, telling of each when it starts, ends, or is
taken from a cache.
"""

from __future__ import annotations

import datetime
import time

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import pipeline_pb2

from pipelines.local.seals import only_what_was_made, seal
from twintrain.processes.progress import report_progress

_CACHED = metadata_store_pb2.Execution.CACHED


class ProgressDagRunner(tfx_runner.IrBasedRunner):
    """TFX's LocalDagRunner, but told node by node. (LocalDagRunner offers no hook for that.)

    Attributes:
        outputs: after a run, per node and output name, the uris of its artifacts.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, dict[str, list[str]]] = {}

    def run_with_ir(
        self, pipeline: pipeline_pb2.Pipeline, run_options: pipeline_pb2.RunOptions | None = None
    ) -> None:
        """Run all nodes in order. `run_options` (partial runs) are not used: caching does the same
        here.
        """
        run_id = datetime.datetime.now().isoformat()
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        which = deployment.metadata_connection_config.WhichOneof("connection_config")
        connection = getattr(deployment.metadata_connection_config, which)
        names = [node.pipeline_node.node_info.id for node in pipeline.nodes]
        report_progress("plan", nodes=names)
        for node, name in zip(pipeline.nodes, names, strict=True):
            report_progress("node_started", node=name)
            started = time.perf_counter()
            with only_what_was_made(name):
                info = launcher.Launcher(
                    pipeline_node=node.pipeline_node,
                    mlmd_connection=metadata.Metadata(connection),
                    pipeline_info=pipeline.pipeline_info,
                    pipeline_runtime_spec=pipeline.runtime_spec,
                    executor_spec=runner_utils.extract_executor_spec(deployment, name),
                    custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
                ).launch()
            cached = False
            if info is not None:
                cached, self.outputs[name] = _published(connection, info.execution_id)
            report_progress(
                "node_finished", node=name, seconds=time.perf_counter() - started, cached=cached
            )


def _published(
    connection: metadata_store_pb2.ConnectionConfig, execution_id: int
) -> tuple[bool, dict[str, list[str]]]:
    """Whether an execution was taken from an earlier run, and the uris of what it published, which
    is sealed if it was not.
    """
    with metadata.Metadata(connection) as handle:
        (execution,) = handle.store.get_executions_by_id([execution_id])
        outputs = execution_lib.get_output_artifacts(handle, execution_id)
        if execution.last_known_state != _CACHED:
            seal(handle, execution_id)
    uris = {key: [artifact.uri for artifact in artifacts] for key, artifacts in outputs.items()}
    return bool(execution.last_known_state == _CACHED), uris
