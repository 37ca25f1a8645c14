"""`twintrain kubeflow schedule`, `unschedule` and `status`: the recurring run."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from pipelines.cli.kubeflow_options import (
    CLUSTER,
    SCHEDULE,
    SERVER_NAMESPACE,
    Asked,
    ClusterOption,
    DigestOption,
    HostOption,
    KubeflowProblemOption,
    KubeflowSchemaOption,
    NamespaceOption,
    ScheduleOption,
    ServerNamespaceOption,
    api_server,
    cluster_settings,
    compiled_package,
)
from pipelines.cli.options import STANDARD, RecipeOption, SetOption
from pipelines.cli.own_loop import LoopOption
from twintrain.errors import TwintrainError


def schedule(
    recipe: RecipeOption = STANDARD,
    overrides: SetOption = None,
    problem: KubeflowProblemOption = None,
    schema: KubeflowSchemaOption = None,
    loop: LoopOption = None,
    cluster: ClusterOption = CLUSTER,
    digest: DigestOption = None,
    plan: ScheduleOption = SCHEDULE,
    host: HostOption = None,
    server_namespace: ServerNamespaceOption = SERVER_NAMESPACE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Create or replace the recurring run that schedule.yaml describes; what changes is shown
    before it happens.
    """
    from pipelines.kfp.recurring_run import difference, existing, planned
    from pipelines.kfp.schedule import load_schedule

    wanted, settings = load_schedule(plan), cluster_settings(cluster, digest)
    with compiled_package(Asked(recipe, overrides, problem, schema, loop), settings) as package:
        target = planned(wanted, package, settings.pipeline_root, settings.service_account)
        server = api_server(host, wanted.namespace, server_namespace)
        there = _one(server.scheduled(wanted.name), wanted.name)
        lines = list(difference(existing(there) if there else None, target))
        if not lines:
            typer.echo(f"Schedule {wanted.name} is as wanted: nothing to do.")
            return
        typer.echo("\n".join(lines))
        _agree(yes, f"{'Replace' if there else 'Create'} schedule {wanted.name}?")
        made = server.create_schedule(target, package)
        if there:
            # Only now: a machine that dies in between leaves two schedules, which is noticed, not
            # none, which is not.
            server.remove("recurring_runs", there.recurring_run_id)
    typer.echo(f"schedule {wanted.name}: {made}")
    times = ", ".join(f"{time:%a %Y-%m-%d %H:%M:%S %Z}" for time in wanted.next_runs(3))
    typer.echo(f"next: {times}")
    if wanted.timezone != "UTC":
        typer.echo(
            "KFP reads cron in the zone of its own controller: CRON_SCHEDULE_TIMEZONE of "
            f"ml-pipeline-scheduledworkflow must be {wanted.timezone} (it is UTC where nobody has "
            "set it)."
        )


def unschedule(
    name: Annotated[
        str | None, typer.Argument(help="The schedule.", show_default="the one in schedule.yaml")
    ] = None,
    plan: ScheduleOption = SCHEDULE,
    host: HostOption = None,
    server_namespace: ServerNamespaceOption = SERVER_NAMESPACE,
    namespace: NamespaceOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete every recurring run of that name; runs already started go on."""
    from pipelines.kfp.recurring_run import difference, existing
    from pipelines.kfp.schedule import load_schedule

    if name is None:
        wanted = load_schedule(plan)
        name, namespace = wanted.name, namespace or wanted.namespace
    server = api_server(host, namespace, server_namespace)
    found = server.scheduled(name)
    if not found:
        typer.echo(f"There is no schedule {name}: nothing to do.")
        return
    for run in found:
        typer.echo("\n".join(difference(existing(run), None)))
    _agree(yes, f"Delete {len(found)} schedule{'s' * (len(found) > 1)} called {name}?")
    for run in found:
        server.remove("recurring_runs", run.recurring_run_id)
    typer.echo(f"schedule {name}: deleted")


def status(
    name: Annotated[
        str | None, typer.Argument(help="The schedule.", show_default="the one in schedule.yaml")
    ] = None,
    plan: ScheduleOption = SCHEDULE,
    host: HostOption = None,
    server_namespace: ServerNamespaceOption = SERVER_NAMESPACE,
    namespace: NamespaceOption = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many of its runs.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show a schedule and its newest runs."""
    from pipelines.kfp.schedule import load_schedule

    if name is None:
        wanted = load_schedule(plan)
        name, namespace = wanted.name, namespace or wanted.namespace
    server = api_server(host, namespace, server_namespace)
    there = _one(server.scheduled(name), name)
    if there is None:
        raise TwintrainError(
            f"There is no schedule {name}.", "Create it with `twintrain kubeflow schedule`."
        )
    runs = [
        {"run": run.run_id, "created": str(run.created_at), "state": run.state or "PENDING"}
        for run in server.runs_of(there.recurring_run_id, count)
    ]
    found = {
        "schedule": name,
        "id": there.recurring_run_id,
        "state": there.status or there.mode,
        "runs": runs,
    }
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"schedule {name} ({found['id']}): {found['state']}")
    for run in runs:
        typer.echo(f"  {run['created']}  {run['state']:<10}  {run['run']}")
    if not runs:
        typer.echo("  no runs yet")


def _one(found: list[Any], name: str) -> Any | None:
    if len(found) > 1:
        ids = ", ".join(str(run.recurring_run_id) for run in found)
        raise TwintrainError(
            f"There are {len(found)} schedules called {name}: {ids}.",
            f"Remove them (twintrain kubeflow unschedule {name}) and schedule anew.",
        )
    return found[0] if found else None


def _agree(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise TwintrainError("Nobody is here to agree.", "Give --yes where no one can be asked.")
    typer.confirm(question, abort=True)
