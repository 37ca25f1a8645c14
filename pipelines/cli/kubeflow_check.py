"""`twintrain kubeflow check`: what of ours the API server at hand takes."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.kubeflow_options import (
    CLUSTER,
    SERVER_NAMESPACE,
    Asked,
    ClusterOption,
    HostOption,
    NamespaceOption,
    ServerNamespaceOption,
    api_server,
    cluster_settings,
    compiled_package,
)
from pipelines.cli.options import STANDARD, RecipeOption, SetOption
from twintrain.errors import TwintrainError


def check(
    recipe: RecipeOption = STANDARD,
    overrides: SetOption = None,
    cluster: ClusterOption = CLUSTER,
    host: HostOption = None,
    server_namespace: ServerNamespaceOption = SERVER_NAMESPACE,
    namespace: NamespaceOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be asked, and ask nothing.")
    ] = False,
) -> None:
    """Ask the API server what of ours it takes: with things of a throw-away name, which are removed
    again, also after Ctrl-C. No run is started.
    """
    from pipelines.kfp.server_check import CLEAN_UP, QUESTIONS, ServerCheck

    settings = cluster_settings(cluster)
    if dry_run:
        for question in (*QUESTIONS.values(), CLEAN_UP):
            typer.echo(f"would {question}")
        return
    server = api_server(host, namespace, server_namespace)
    with compiled_package(Asked(recipe, overrides), settings) as package:
        asked = ServerCheck(
            server, package, settings.pipeline_root, settings.service_account, typer.echo
        )
        failed = asked.run()
    if failed:
        raise TwintrainError(
            f"The server does not take {len(failed)} of {len(QUESTIONS)}.",
            "kubeflow/README.md says with which servers what was tried.",
        )
