"""What the commands of `twintrain kubeflow` share: options, how they compile, and the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipelines.cli.options import NOT_MNIST, STANDARD
from pipelines.cli.own_loop import override_for
from pipelines.cli.quiet import quiet
from pipelines.cli.user_file import importable
from twintrain.errors import TwintrainError
from twintrain.processes.scratch import scratch

if TYPE_CHECKING:
    from pipelines.config import RunConfig
    from pipelines.kfp.client import Server
    from pipelines.kfp.cluster import Cluster
    from twintrain.recipe.recipe import Recipe

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
KubeflowProblemOption = Annotated[
    str | None,
    typer.Option(
        "--problem",
        metavar="FILE.py",
        help="Your own problem, as in `twintrain run`. The file travels with the pipeline.",
        show_default="images with one class each",
    ),
]
KubeflowSchemaOption = Annotated[
    Path | None,
    typer.Option("--schema", help="Of your own problem's tables. It travels with the pipeline."),
]


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


@dataclass(frozen=True)
class Asked:
    """What is to be compiled.

    Attributes:
        recipe: a built-in name or a path.
        overrides: of its fields.
        problem: a file that states a problem of the user's own; it travels with the pipeline.
        schema: of its tables; so does this.
        loop: a file with a loop of the user's own, as `--loop` has it; and this.
    """

    recipe: str
    overrides: list[str] | None = None
    problem: str | None = None
    schema: Path | None = None
    loop: str | None = None

    def config(self) -> RunConfig:
        """The run, checked as far as it can be where there is no data.

        Raises:
            TwintrainError: as `load_recipe`, or the files do not fit together.
        """
        from pipelines.config import RunConfig
        from pipelines.shipped import ship
        from twintrain.problems.find import model_function
        from twintrain.recipe.files import load_recipe

        modules, own = [], override_for(self.loop)
        if self.loop is not None:
            modules.append(Path(self.loop.partition(":")[0]).resolve())
        if self.problem is not None:
            file, module = importable("--problem", self.problem)
            modules.append(file)
            own += [*(NOT_MNIST if self.recipe == STANDARD else ()), f"problem.module={module}"]
        recipe = load_recipe(self.recipe, [*own, *(self.overrides or [])])
        tables = recipe.problem.module is not None
        if tables != (self.schema is not None):
            raise TwintrainError(*(_NO_SCHEMA if tables else _NO_PROBLEM))
        model_function(recipe.model.name)  # a module of the user's is in the image, not here
        nowhere = Path("/nowhere")  # every other path is the cluster's
        schema = nowhere if self.schema is None else self.schema.resolve()
        shipped = ship(modules, self.schema)
        if tables:
            check_schema(recipe, schema)
        return RunConfig(
            recipe=recipe, data=nowhere, schema_file=schema, root=nowhere, shipped=shipped
        )


_NO_SCHEMA = (
    "A problem of tables needs --schema: what the columns hold.",
    "`twintrain run --problem` leaves one beside the data, `twintrain schema infer` writes one.",
)
_NO_PROBLEM = (
    "--schema is that of a problem of tables, and none is named.",
    "Add --problem FILE.py, or a recipe that names one; for images `schema` in cluster.yaml says "
    "where the schema lies.",
)


def check_schema(recipe: Recipe, schema: Path) -> None:
    """See that a problem's module and its schema fit.

    Raises:
        TwintrainError: they do not.
    """
    assert recipe.problem.module is not None
    with quiet():
        from google.protobuf import text_format

        from components.curated_schema import load_rules
        from components.table_columns import plan_of
        from twintrain.problems.user_problem import read_module

        stated = read_module(recipe.problem.module)
        rules = load_rules(schema, stated.statement.raw_columns, stated.statement)
        plan_of(stated, text_format.MessageToString(rules))


def _see_that_files_can_travel(cluster: Cluster) -> None:
    from pipelines.kfp.beam_files import runs_elsewhere
    from pipelines.nodes import BY_ID

    for node in BY_ID:
        if runs_elsewhere(cluster.step(node).beam):
            raise TwintrainError(
                f"Files that travel with the pipeline lie in its steps' pods, and the workers of "
                f"{node}'s Beam runner are elsewhere.",
                "Leave its `beam` out of cluster.yaml, or put the module into the image.",
            )


def compile_to(asked: Asked, cluster: Cluster, output: Path) -> int:
    """Compile into a file; the number of steps."""
    config = asked.config()
    if config.shipped is not None and config.shipped.modules:
        _see_that_files_can_travel(cluster)
    typer.echo("compiling; TFX takes some seconds to load …", err=True)
    with quiet():
        from pipelines.kfp.runner import compile_pipeline, on_cluster

        compiled = compile_pipeline(on_cluster(config, cluster), cluster)
    compiled.write(output)
    return len(compiled.spec["deploymentSpec"]["executors"])


@contextmanager
def compiled_package(asked: Asked, cluster: Cluster) -> Iterator[Path]:
    """The compiled pipeline as a file, for a while."""
    with scratch("package") as folder:
        package = folder / "pipeline.yaml"
        compile_to(asked, cluster, package)
        yield package
