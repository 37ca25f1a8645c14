"""`twintrain kubeflow`: the pipeline on Kubeflow Pipelines."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console

from pipelines.cli.options import STANDARD, RecipeOption, SetOption
from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from pipelines.kfp.client import Server
    from pipelines.kfp.cluster import Cluster

app = typer.Typer(
    help="The pipeline on Kubeflow Pipelines: compile, build its image, rehearse it here, submit "
    "and schedule it.",
    no_args_is_help=True,
    epilog="kubeflow/README.md leads from an empty namespace to the first scheduled comparison.",
)

ClusterOption = Annotated[
    Path, typer.Option("--cluster", "-c", help="Image, resources and placement of every step.")
]
HostOption = Annotated[
    str | None,
    typer.Option(
        help="Address of the API server.",
        show_default="KF_PIPELINES_ENDPOINT, or what kubectl knows",
    ),
]
NamespaceOption = Annotated[str | None, typer.Option(help="Yours, on a multi-user installation.")]
ScheduleOption = Annotated[
    Path, typer.Option("--schedule", help="When, and with which parameters.")
]
CLUSTER, SCHEDULE = Path("kubeflow/cluster.yaml"), Path("kubeflow/schedule.yaml")


@app.command("compile", epilog="Example:  twintrain kubeflow compile --recipe bare -o bare.yaml")
def compile_(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write, .yaml.")
    ] = Path("pipeline.yaml"),
    recipe: RecipeOption = STANDARD,
    overrides: SetOption = None,
    cluster: ClusterOption = CLUSTER,
) -> None:
    """Write the pipeline as KFP takes it: PipelineSpec 2.1 and, where cluster.yaml asks for it, the
    platform document.
    """
    if output.suffix not in (".yaml", ".yml"):
        raise TwintrainError(
            f"KFP takes a pipeline by its ending, and {output} is not .yaml.",
            "Use -o pipeline.yaml",
        )
    steps = _compile(recipe, overrides, _cluster(cluster), output)
    typer.echo(f"{output}: {steps} steps, parameters data, span, overrides")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="What follows -- goes to the engine's build:  twintrain kubeflow build --push -- "
    "--network host",
)
def build(
    context: typer.Context,
    cluster: ClusterOption = CLUSTER,
    cuda: Annotated[
        bool, typer.Option("--cuda/--no-cuda", help="With NVIDIA's libraries, for GPUs.")
    ] = True,
    base: Annotated[str | None, typer.Option(help="Another Debian 13 to build on.")] = None,
    push: Annotated[bool, typer.Option("--push", help="Push it afterwards.")] = False,
) -> None:
    """Build the image that cluster.yaml names, with docker or podman."""
    from pipelines.kfp.image import build_image

    build_image(_cluster(cluster).image, cuda=cuda, base=base, push=push, further=context.args)


@app.command(epilog="kubeflow/README.md shows it as a sidecar of Flink's task managers.")
def beam_workers(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the runner finds them.")
    ] = 50000,
) -> None:
    """Serve workers to a Beam runner outside the steps' pods, Flink for instance, until
    interrupted.
    """
    from pipelines.kfp.beam_worker import serve
    from twintrain.processes.isolated import hide_gpus

    hide_gpus()
    where = f"--environment_type=EXTERNAL --environment_config=localhost:{port}"
    try:
        serve(port, lambda: typer.echo(f"workers at port {port}: {where}"))
    except RuntimeError as error:
        raise TwintrainError(
            f"Port {port} cannot be served: {error}", "Choose another with --port."
        ) from error


@app.command(
    epilog="Example:  twintrain kubeflow rehearse --set data.limit=1200 --root runs/rehearsal"
)
def rehearse(
    recipe: RecipeOption = STANDARD,
    overrides: SetOption = None,
    cluster: ClusterOption = CLUSTER,
    root: Annotated[
        Path, typer.Option(help="Everything goes here; volumes are directories below it.")
    ] = Path("runs/rehearsal"),
    span: Annotated[
        int, typer.Option(help="As the run parameter; -1 for the newest complete one.")
    ] = -1,
) -> None:
    """Run the compiled pipeline on this machine in containers, step by step, without GPUs."""
    from pipelines.cli.quiet import quiet

    root, settings = root.resolve(), _cluster(cluster)
    with quiet() as report:
        from pipelines.kfp.rehearsal import for_rehearsal
        from pipelines.kfp.rehearsal import rehearse as run

        here = for_rehearsal(settings, root)
        with _compiled(recipe, overrides, here) as package:
            spec = next(yaml.safe_load_all(package.read_text(encoding="utf-8")))
        made = run(spec, here, root, {"span": span}, report)
    typer.echo(f"report {made / 'report' / 'report' / 'report.html'}")


@app.command(
    epilog="Example:  twintrain kubeflow submit --param span=3 --param "
    'overrides=["training.epochs=10"]'
)
def submit(
    recipe: RecipeOption = STANDARD,
    overrides: SetOption = None,
    cluster: ClusterOption = CLUSTER,
    host: HostOption = None,
    namespace: NamespaceOption = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="data, span or overrides for this run alone."),
    ] = None,
    experiment: Annotated[str, typer.Option(help="Created when missing.")] = "twintrain",
) -> None:
    """Compile and start one run."""
    settings = _cluster(cluster)
    parameters = _parameters(param or [])
    with _compiled(recipe, overrides, settings) as package:
        run = _server(host, namespace).submit(
            package,
            f"twintrain {recipe}",
            experiment,
            parameters,
            settings.pipeline_root,
            settings.service_account,
        )
    typer.echo(f"run {run}")


@app.command(epilog="Example:  twintrain kubeflow schedule --schedule kubeflow/schedule.yaml --yes")
def schedule(
    recipe: RecipeOption = STANDARD,
    overrides: SetOption = None,
    cluster: ClusterOption = CLUSTER,
    plan: ScheduleOption = SCHEDULE,
    host: HostOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Create or replace the recurring run that schedule.yaml describes; what changes is shown
    before it happens.
    """
    from pipelines.kfp.client import difference, existing, planned
    from pipelines.kfp.schedule import load_schedule

    wanted, settings = load_schedule(plan), _cluster(cluster)
    with _compiled(recipe, overrides, settings) as package:
        target = planned(wanted, package, settings.pipeline_root, settings.service_account)
        server = _server(host, wanted.namespace)
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
            server.delete_schedule(there.recurring_run_id)
    typer.echo(f"schedule {wanted.name}: {made}")
    times = ", ".join(f"{time:%a %Y-%m-%d %H:%M:%S %Z}" for time in wanted.next_runs(3))
    typer.echo(f"next: {times}")
    if wanted.timezone != "UTC":
        typer.echo(
            "KFP reads cron in the zone of its own controller: CRON_SCHEDULE_TIMEZONE of "
            f"ml-pipeline-scheduledworkflow must be {wanted.timezone} (it is UTC where nobody has "
            "set it)."
        )


@app.command()
def unschedule(
    name: Annotated[
        str | None, typer.Argument(help="The schedule.", show_default="the one in schedule.yaml")
    ] = None,
    plan: ScheduleOption = SCHEDULE,
    host: HostOption = None,
    namespace: NamespaceOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete every recurring run of that name; runs already started go on."""
    from pipelines.kfp.client import difference, existing
    from pipelines.kfp.schedule import load_schedule

    if name is None:
        wanted = load_schedule(plan)
        name, namespace = wanted.name, namespace or wanted.namespace
    server = _server(host, namespace)
    found = server.scheduled(name)
    if not found:
        typer.echo(f"There is no schedule {name}: nothing to do.")
        return
    for run in found:
        typer.echo("\n".join(difference(existing(run), None)))
    _agree(yes, f"Delete {len(found)} schedule{'s' * (len(found) > 1)} called {name}?")
    for run in found:
        server.delete_schedule(run.recurring_run_id)
    typer.echo(f"schedule {name}: deleted")


@app.command()
def status(
    name: Annotated[
        str | None, typer.Argument(help="The schedule.", show_default="the one in schedule.yaml")
    ] = None,
    plan: ScheduleOption = SCHEDULE,
    host: HostOption = None,
    namespace: NamespaceOption = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many of its runs.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show a schedule and its newest runs."""
    from pipelines.kfp.schedule import load_schedule

    if name is None:
        wanted = load_schedule(plan)
        name, namespace = wanted.name, namespace or wanted.namespace
    server = _server(host, namespace)
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


def _cluster(path: Path) -> Cluster:
    from pipelines.kfp.cluster import load_cluster

    return load_cluster(path)


def _server(host: str | None, namespace: str | None) -> Server:
    from pipelines.kfp.client import Server

    return Server(
        host, namespace, lambda line: Console(stderr=True).print(line, style="yellow", markup=False)
    )


def _compile(recipe: str, overrides: list[str] | None, cluster: Cluster, output: Path) -> int:
    """Compile into a file; the number of steps."""
    from pipelines.cli.quiet import quiet
    from pipelines.config import RunConfig
    from twintrain.problems.find import model_function
    from twintrain.recipe.files import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    model_function(loaded.model.name)  # a module of the user's is in the image, not here
    nowhere = Path("/nowhere")  # every path is the cluster's
    config = RunConfig(recipe=loaded, data=nowhere, schema_file=nowhere, root=nowhere)
    typer.echo("compiling; TFX takes some seconds to load …", err=True)
    with quiet():
        from pipelines.kfp.runner import compile_pipeline, on_cluster

        compiled = compile_pipeline(on_cluster(config, cluster), cluster)
    compiled.write(output)
    return len(compiled.spec["deploymentSpec"]["executors"])


@contextmanager
def _compiled(recipe: str, overrides: list[str] | None, cluster: Cluster) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        _compile(recipe, overrides, cluster, package)
        yield package


def _parameters(given: list[str]) -> dict[str, Any]:
    from pipelines.kfp.schedule import checked_parameter

    parameters = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            parameters[name] = checked_parameter(name, yaml.safe_load(value))
        except yaml.YAMLError:
            raise TwintrainError(
                f"--param {text!r}: {value!r} is not YAML.", "--param span=3"
            ) from None
        except ValueError as error:
            raise TwintrainError(f"--param {text!r}: {error}.", "--param span=3") from None
    return parameters


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
