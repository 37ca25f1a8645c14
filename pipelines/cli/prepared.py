"""Tables of a problem of the user's own, for commands that train in their own process: ingested,
held to the schema, preprocessed and looked through for leaks by the pipeline's own nodes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pipelines.cli.exit_codes import ExitCode
from pipelines.cli.needs import need_pipeline
from pipelines.cli.options import Choice
from pipelines.local.engine import PREPARED
from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from twintrain.comparison.slices import SliceValues
    from twintrain.data.tfrecord_source import TransformedData
    from twintrain.recipe.recipe import Recipe


@dataclass(frozen=True)
class Prepared:
    """Where preprocessed examples are.

    Attributes:
        examples: uri of the Examples artifact.
        transform_graph: uri of the TransformGraph artifact.
        unreadable: what a report tells of rows that cannot be read; None where all can.
    """

    examples: str
    transform_graph: str
    unreadable: dict[str, Any] | None = None

    def data(self, recipe: Recipe) -> TransformedData:
        """The examples. Imports TensorFlow."""
        from components.transformed import transformed_data

        return transformed_data(self.examples, self.transform_graph, recipe)

    def slice_values(self, recipe: Recipe) -> SliceValues:
        """What those of the test split are sliced by."""
        from twintrain.problems.find import statement_of

        stated = statement_of(recipe)
        return self.data(recipe).slice_values(stated.slice_columns, bool(stated.sliced))


def look_at_problem(choice: Choice, console: Console) -> None:
    """See that a problem, its recipe and its data fit, and write its schema where there is none.

    Raises:
        TwintrainError: they do not, or TFX is not installed.
    """
    need_pipeline()
    from pipelines.cli.first_look import look
    from pipelines.cli.schema import see_schema
    from pipelines.local.launch import module_places

    look(choice.recipe, choice.data, choice.schema_file, [*module_places(), *sys.path])
    see_schema(choice, console)


def prepare(choice: Choice, span: int | None, root: Path, lock: int, console: Console) -> Prepared:
    """Run the nodes up to the preprocessed examples; what an earlier command made of the same data
    is taken over.

    Args:
        choice: a problem of the user's own.
        span: which span; None for the newest.
        root: absolute; it must be owned.
        lock: what `own_root` gave.
        console: shows the progress.

    Raises:
        TwintrainError: a node found a problem.
    """
    from pipelines.cli.progress_view import view_for
    from pipelines.config import RunConfig
    from pipelines.local.launch import run as launch

    config = RunConfig(
        recipe=choice.recipe,
        data=choice.data,
        schema_file=choice.schema_file,
        root=root,
        span=span,
        only_data=True,
    )
    outcome = launch(
        config,
        view_for(console),
        lock,
        lambda log: console.print(f"log {log}", style="dim", markup=False, soft_wrap=True),
    )
    if outcome.status == ExitCode.MEND:
        raise TwintrainError(outcome.problem, f"{outcome.remedy}\nThe log: {outcome.log}")
    if outcome.status:
        said = outcome.problem.splitlines()[:1] or [f"it ended with status {outcome.status}"]
        raise RuntimeError(f"preparing the data: {said[0]} (the log: {outcome.log})")
    made = json.loads((root / PREPARED).read_text(encoding="utf-8"))
    return Prepared(made["examples"], made["transform_graph"], made["unreadable"])
