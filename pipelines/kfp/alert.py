"""The last step of a run on Kubeflow Pipelines: tells people when the run failed or the trend needs
a look.

    python -m pipelines.kfp.alert --status STATUS --records PLACE

KFP runs it whether the run went well or not, and hands it the run's final state.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from twintrain.errors import TwintrainError
from twintrain.trend.monitor import judge
from twintrain.trend.record_store import RecordStore
from twintrain.trend.webhook import VARIABLE, message, post, webhook


def main(arguments: list[str]) -> int:
    """Send what there is to tell.

    Returns:
        0 when nothing was to be told or it was taken, 2 where it could not be told.
    """
    parser = argparse.ArgumentParser(prog="python -m pipelines.kfp.alert", description=__doc__)
    parser.add_argument("--status", required=True, help="KFP's PipelineTaskFinalStatus, as JSON")
    parser.add_argument("--records", required=True, help="where comparisons are recorded")
    asked = parser.parse_args(arguments)
    try:
        text = what_to_tell(json.loads(asked.status), asked.records)
        print(text or "Nothing to be alarmed at.", flush=True)
        address = webhook()
        if text and address is None:
            raise TwintrainError(
                f"Nobody is told: {VARIABLE} is not set.", "Name its Secret in cluster.yaml."
            )
        if text and address:
            post(address, text)
    except TwintrainError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def what_to_tell(status: dict[str, Any], records: str) -> str:
    """The failure of the run, or the alerts of the newest spans; empty when all is well."""
    state = status.get("state", "UNKNOWN")
    if state != "SUCCEEDED":
        why = (status.get("error") or {}).get("message", "")
        run = status.get("pipelineJobResourceName", "")
        return f"Twintrain: the run {run} ended as {state}. {why}".strip()
    return message(judge(RecordStore(records).all()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
