"""`twintrain kubeflow`: the pipeline on Kubeflow Pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from pipelines.cli.kubeflow_check import check
from pipelines.cli.kubeflow_options import (
    CLUSTER,
    SERVER_NAMESPACE,
    Asked,
    ClusterOption,
    DigestOption,
    HostOption,
    KubeflowProblemOption,
    KubeflowSchemaOption,
    NamespaceOption,
    ServerNamespaceOption,
    api_server,
    cluster_settings,
    compile_to,
    compiled_package,
)
from pipelines.cli.kubeflow_schedules import schedule, status, unschedule
from pipelines.cli.options import STANDARD, RecipeOption, SetOption
from pipelines.cli.own_loop import LoopOption
from twintrain.errors import TwintrainError

app = typer.Typer(
    help="The pipeline on Kubeflow Pipelines: compile, build its image, rehearse it here, submit "
    "and schedule it.",
    no_args_is_help=True,
    epilog="kubeflow/README.md leads from an empty namespace to the first scheduled comparison.",
)


@app.command("compile", epilog="Example:  twintrain kubeflow compile --recipe bare -o bare.yaml")
def compile_(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write, .yaml.")
    ] = Path("pipeline.yaml"),
    recipe: RecipeOption = STANDARD,
    overrides: SetOption = None,
    problem: KubeflowProblemOption = None,
    schema: KubeflowSchemaOption = None,
    loop: LoopOption = None,
    cluster: ClusterOption = CLUSTER,
    digest: DigestOption = None,
) -> None:
    """Write the pipeline as KFP takes it: PipelineSpec 2.1 and, where cluster.yaml asks for it, the
    platform document.
    """
    if output.suffix not in (".yaml", ".yml"):
        raise TwintrainError(
            f"KFP takes a pipeline by its ending, and {output} is not .yaml.",
            "Use -o pipeline.yaml",
        )
    asked = Asked(recipe, overrides, problem, schema, loop)
    steps = compile_to(asked, cluster_settings(cluster, digest), output)
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

    image = cluster_settings(cluster).image
    digest = build_image(image, cuda=cuda, base=base, push=push, further=context.args)
    if digest:
        typer.echo(f"{image} has the digest {digest}")
        typer.echo(f"pin it:  twintrain kubeflow submit --digest {digest}")


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
    problem: KubeflowProblemOption = None,
    schema: KubeflowSchemaOption = None,
    loop: LoopOption = None,
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

    root, settings = root.resolve(), cluster_settings(cluster)
    with quiet() as report:
        from pipelines.kfp.rehearsal import for_rehearsal
        from pipelines.kfp.rehearsal import rehearse as run

        here = for_rehearsal(settings, root)
        with compiled_package(Asked(recipe, overrides, problem, schema, loop), here) as package:
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
    problem: KubeflowProblemOption = None,
    schema: KubeflowSchemaOption = None,
    loop: LoopOption = None,
    cluster: ClusterOption = CLUSTER,
    digest: DigestOption = None,
    host: HostOption = None,
    server_namespace: ServerNamespaceOption = SERVER_NAMESPACE,
    namespace: NamespaceOption = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="data, span or overrides for this run alone."),
    ] = None,
    experiment: Annotated[str, typer.Option(help="Created when missing.")] = "twintrain",
) -> None:
    """Compile and start one run."""
    settings = cluster_settings(cluster, digest)
    parameters = _parameters(param or [])
    with compiled_package(Asked(recipe, overrides, problem, schema, loop), settings) as package:
        run = api_server(host, namespace, server_namespace).submit(
            package,
            f"twintrain {recipe}",
            experiment,
            parameters,
            settings.pipeline_root,
            settings.service_account,
        )
    typer.echo(f"run {run}")


app.command(epilog="Example:  twintrain kubeflow schedule --schedule kubeflow/schedule.yaml --yes")(
    schedule
)
app.command(epilog="Example:  twintrain kubeflow check --host http://localhost:8888")(check)
app.command()(unschedule)
app.command()(status)


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
