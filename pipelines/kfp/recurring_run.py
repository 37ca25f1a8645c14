"""A schedule as it is wanted and as it is on the server, in one form, and what differs."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipelines.kfp.schedule import Schedule
from twintrain.parsing.yaml_text import load_yaml

# What the server does not give back, or not by the name we know: kept in the schedule's
# description.
TOLD_TO_US_ALONE = ("timezone", "pipeline", "experiment")


def planned(schedule: Schedule, package: Path, root: str, account: str | None) -> dict[str, Any]:
    """What a schedule is on the server, in the words of schedule.yaml and cluster.yaml."""
    return {
        "name": schedule.name,
        "cron": schedule.kfp_cron,
        "timezone": schedule.timezone,
        "experiment": schedule.experiment,
        "max_concurrency": 1,
        "no_catchup": True,
        "enabled": True,
        "parameters": dict(sorted(schedule.parameters.items())),
        "pipeline_root": root,
        "service_account": account,
        "pipeline": f"sha256:{hashlib.sha256(package.read_bytes()).hexdigest()}",
    }


def existing(run: Any) -> dict[str, Any]:
    """A recurring run of the server in the same form; what it does not tell is None."""
    try:
        kept = load_yaml(run.description or "") or {}
    except yaml.YAMLError:
        kept = {}
    kept = kept if isinstance(kept, dict) else {}
    trigger = run.trigger.cron_schedule if run.trigger else None
    runtime = run.runtime_config
    return {
        "name": run.display_name,
        "cron": trigger.cron if trigger else None,
        "timezone": kept.get("timezone"),
        "experiment": kept.get("experiment"),
        "max_concurrency": int(run.max_concurrency or 0),
        "no_catchup": bool(run.no_catchup),
        "enabled": run.status != "DISABLED",
        "parameters": dict(sorted((runtime.parameters or {}).items())) if runtime else {},
        "pipeline_root": runtime.pipeline_root if runtime else None,
        "service_account": run.service_account or None,
        "pipeline": kept.get("pipeline"),
    }


def difference(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[str]:
    """What changes on the server, as the lines of a diff; none when nothing does.

    What is wanted None is left open, and whatever the server has there is as wanted: it fills in a
    service account of its own, for instance.
    """
    if before is not None and after is not None:
        after = {key: before.get(key) if value is None else value for key, value in after.items()}
    old, new = (
        [] if side is None else yaml.safe_dump(side, sort_keys=False).splitlines()
        for side in (before, after)
    )
    yield from difflib.unified_diff(old, new, "on the server", "wanted", lineterm="", n=99)
