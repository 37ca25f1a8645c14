#!/usr/bin/env -S python -P
"""Beam workers for runners outside a step's pod: `twintrain kubeflow beam-workers` serves a pool of
them.

Beam's own pool starts workers that know nothing of the pipeline's options, `--beam_plugin=tfx`
among them, and without TFX no worker can import TFDV. So each worker is started through this file,
which keeps Beam's contract for SDK containers
(beam.apache.org/documentation/runtime/sdk-harness-config): it asks the runner for the options, and
becomes Beam's worker with them. Artifacts are not fetched: the image has all packages.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path


def serve(port: int, ready: Callable[[], None]) -> None:
    """Start workers whenever a runner asks for some, until interrupted.

    Args:
        port: where the runner finds the pool, `--environment_type=EXTERNAL
            --environment_config=localhost:PORT`.
        ready: called as soon as it does.

    Raises:
        RuntimeError: the port is taken.
    """
    from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

    _, server = BeamFnExternalWorkerPoolServicer.start(
        use_process=True, port=port, container_executable=__file__
    )
    # A container's first process does not end by itself.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ready()
    try:
        threading.Event().wait()
    finally:
        server.stop(0)


def main(arguments: list[str]) -> None:
    """Become one of Beam's workers; the arguments are those of the contract."""
    import grpc
    from apache_beam.portability.api.org.apache.beam.model.fn_execution.v1 import (
        beam_provision_api_pb2 as provision,
    )
    from apache_beam.portability.api.org.apache.beam.model.fn_execution.v1 import (
        beam_provision_api_pb2_grpc as service,
    )
    from apache_beam.portability.api.org.apache.beam.model.pipeline.v1.endpoints_pb2 import (
        ApiServiceDescriptor,
    )
    from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
    from google.protobuf import json_format, text_format

    parser = argparse.ArgumentParser(prog=Path(__file__).name, description=main.__doc__)
    for name in (
        "id",
        "provision_endpoint",
        "logging_endpoint",
        "control_endpoint",
        "artifact_endpoint",
    ):
        parser.add_argument(f"--{name}", required=name in ("id", "provision_endpoint"))
    asked, _ = parser.parse_known_args(arguments)
    plain = grpc.insecure_channel(asked.provision_endpoint)
    channel = grpc.intercept_channel(plain, WorkerIdInterceptor(asked.id))
    provisioned = (
        service.ProvisionServiceStub(channel)
        .GetProvisionInfo(provision.GetProvisionInfoRequest(), timeout=60)
        .info
    )
    plain.close()
    environment = {
        "WORKER_ID": asked.id,
        "PIPELINE_OPTIONS": json.dumps(json_format.MessageToDict(provisioned.pipeline_options)),
        "RUNNER_CAPABILITIES": " ".join(provisioned.runner_capabilities),
    }
    for kind in ("logging", "control"):
        endpoint = getattr(provisioned, f"{kind}_endpoint")
        if not endpoint.url:
            endpoint = ApiServiceDescriptor(url=getattr(asked, f"{kind}_endpoint"))
        environment[f"{kind.upper()}_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(
            endpoint
        )
    # Nobody reads the pipe that the pool makes of the standard output, and a full one would stop
    # the worker.
    os.dup2(2, 1)
    command = [sys.executable, "-m", "apache_beam.runners.worker.sdk_worker_main"]
    os.execve(command[0], command, os.environ | environment)  # noqa: S606 - Python itself


if __name__ == "__main__":
    main(sys.argv[1:])
