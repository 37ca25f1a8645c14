"""The last step of a run on Kubeflow Pipelines: tells people when the run failed or the trend needs
a look.

    python -m pipelines.kfp.alert --status STATUS --records PLACE

KFP runs it whether the run went well or not, and hands it the run's final state: a word of ML
Metadata's up to KFP 2.17 (COMPLETE), one of KFP's own after that (SUCCEEDED).
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

# In upper case. CACHED is what both servers call a task whose result was there already.
WENT_WELL = ("COMPLETE", "SUCCEEDED", "CACHED")


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
        text = what_to_tell(final_status(asked.status), asked.records)
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


def final_status(text: str) -> dict[str, Any]:
    """KFP's PipelineTaskFinalStatus from its JSON.

    Raises:
        TwintrainError: it is no JSON object.
    """
    remedy = (
        "KFP fills in {{$.inputs.parameters['status']}}; give --status '{\"state\": \"FAILED\"}'."
    )
    try:
        status = json.loads(text)
    except ValueError:
        raise TwintrainError(f"--status is no JSON: {text!r}.", remedy) from None
    if not isinstance(status, dict):
        raise TwintrainError(f"--status is no JSON object: {text!r}.", remedy)
    return status


def what_to_tell(status: dict[str, Any], records: str) -> str:
    """The failure of the run, or the alerts of the newest spans; empty when all is well.

    A state that means no success is said as KFP has it: a run whose pod was killed is still RUNNING
    there.
    """
    state = status.get("state") or "UNKNOWN"
    if str(state).upper() not in WENT_WELL:
        error = status.get("error")
        why = error.get("message", "") if isinstance(error, dict) else ""
        run = status.get("pipelineJobResourceName", "")
        return f"Twintrain: the run {run} ended as {state}. {why}".strip()
    return message(judge(RecordStore(records).all()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
