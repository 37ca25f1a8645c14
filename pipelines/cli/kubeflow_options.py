"""What the commands of `twintrain kubeflow` share: options, how they compile, and the server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from pipelines.kfp.client import Server
    from pipelines.kfp.cluster import Cluster

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
ServerNamespaceOption = Annotated[
    str,
    typer.Option(
        help="Where Kubeflow Pipelines itself is installed; looked for there when --host is left "
        "out."
    ),
]
DigestOption = Annotated[
    str | None,
    typer.Option(
        metavar="sha256:…",
        help="Pin the image: every step has the one with this digest, whatever its tag names.",
    ),
]
SERVER_NAMESPACE = "kubeflow"


def cluster_settings(path: Path, digest: str | None = None) -> Cluster:
    """The checked cluster.yaml, its image pinned if a digest is given."""
    from pipelines.kfp.cluster import load_cluster

    settings = load_cluster(path)
    return settings if digest is None else settings.pinned(digest)


def api_server(host: str | None, namespace: str | None, server_namespace: str) -> Server:
    """The API server; what it has to say on the way goes to standard error."""
    from pipelines.kfp.client import Server

    def report(line: str) -> None:
        Console(stderr=True).print(line, style="yellow", markup=False)

    return Server(host, namespace, report, server_namespace=server_namespace)


def compile_to(recipe: str, overrides: list[str] | None, cluster: Cluster, output: Path) -> int:
    """Compile into a file; the number of steps."""
    from pipelines.cli.first_look import images_only
    from pipelines.cli.quiet import quiet
    from pipelines.config import RunConfig
    from twintrain.problems.find import model_function
    from twintrain.recipe.files import load_recipe

    loaded = load_recipe(recipe, overrides or [])
    images_only(loaded, "twintrain kubeflow")
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
def compiled_package(recipe: str, overrides: list[str] | None, cluster: Cluster) -> Iterator[Path]:
    """The compiled pipeline as a file, for a while."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        compile_to(recipe, overrides, cluster, package)
        yield package
