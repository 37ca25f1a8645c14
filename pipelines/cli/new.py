"""`twintrain new`: a problem of one's own, from a look at a table."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipelines.cli.needs import need_pipeline
from pipelines.cli.new_images import is_data_of_images, new_images
from pipelines.cli.options import RECIPE, SCHEMA, beside
from twintrain.errors import TwintrainError, did_you_mean

if TYPE_CHECKING:
    from pipelines.cli.new_problem import Draft
    from twintrain.data.table_survey import Survey


class Kind(enum.Enum):
    """What data is."""

    IMAGE = "image"
    TABLE = "table"
    TEXT = "text"


KindOption = Annotated[
    Kind | None,
    typer.Option(
        help="What --data is: images in a directory per label, a table, or a table with texts "
        "that are read word by word.",
        show_default="by the files",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples:  twintrain new flights --data flights.csv --label late  |  "
        "twintrain new prices --data houses/ --label price --unit dollars  |  "
        "twintrain new shapes --kind image --data photos"
    )(new)


def new(
    name: Annotated[str, typer.Argument(help="Of the problem, and of the file NAME.py.")],
    data: Annotated[
        Path,
        typer.Option(
            help="A table (CSV, Parquet, Avro, TFRecord, SQL query), a folder of them, or images."
        ),
    ],
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="What is to be predicted; of several labels, each a column of 0 and 1, once each.",
            show_default="images: their directories' names",
        ),
    ] = None,
    kind: KindOption = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="classification, binary, multilabel, regression or counts.",
            show_default="by the column",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What twins are compared by: accuracy, auc, f1, log_loss, brier, ece; "
            "label_accuracy, exact_match; mae, rmse, r2; deviance.",
            show_default="the first of the task's",
        ),
    ] = None,
    unit: Annotated[str, typer.Option(help="Of a number that is predicted: minutes.")] = "",
    force: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
) -> None:
    """Look at data, and write NAME.py, a recipe and, of tables, a schema that can be run at
    once.
    """
    if not name.isidentifier():
        raise TwintrainError(f"{name!r} is no name for a Python file.", "Use letters and _.")
    console = Console(highlight=False)
    if (kind or _kind_of(data)) == Kind.IMAGE:
        _see_that_only_tables_are_asked(label, task, metric, unit)
        new_images(name, data, force, console)
        return
    if not label:
        raise TwintrainError("--label is missing.", "Name the column that is to be predicted.")
    need_pipeline()
    files = (Path(f"{name}.py"), *(beside(data, part) for part in (RECIPE, SCHEMA)))
    there = [path for path in files if path.exists()]
    if there and not force:
        raise TwintrainError(f"There is {there[0]} already.", "--force replaces it.")
    from pipelines.cli.new_problem import draft

    seen = _look(data, label, console)
    drafted = draft(seen, label, task, metric, unit)
    if kind == Kind.TEXT:
        _see_that_there_is_text(data, drafted)
    _write_table(name, data, seen, drafted, console)


def _see_that_there_is_text(data: Path, drafted: Draft) -> None:
    if not drafted.text:
        raise TwintrainError(
            f"--kind text: no column of {data} has texts of several words.",
            "Leave --kind out: texts of one word are categories.",
        )


def _write_table(name: str, data: Path, seen: Survey, drafted: Draft, console: Console) -> None:
    """Problem, schema and recipe, and what to do next."""
    from components.table_schema import as_text, schema_from
    from pipelines.cli.new_problem import problem_text, recipe_text
    from pipelines.cli.schema import schema_table
    from pipelines.cli.user_file import importable
    from twintrain.problems.user_problem import read_module
    from twintrain.processes.replacing import replace_text

    file, schema, recipe = Path(f"{name}.py"), beside(data, SCHEMA), beside(data, RECIPE)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    replace_text(file, problem_text(name, data, drafted))
    try:
        _, module = importable("new", str(file))
        made = schema_from(seen, read_module(module))
    except TwintrainError:  # what cannot be run is not left behind
        if before is None:
            file.unlink()
        else:
            replace_text(file, before)
        raise
    replace_text(schema, as_text(made, seen.rows))
    replace_text(recipe, recipe_text(name, drafted))
    console.print(schema_table(made, seen))
    lines = [f"  wrote {path}" for path in (file, recipe, schema)]
    lines.append(f"\nRead {file}, then:  twintrain run --quick --problem {file} --data {data}")
    for warning in drafted.warnings:
        console.print(f"Note: {warning}", style="yellow", markup=False, soft_wrap=True)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _kind_of(data: Path) -> Kind:
    """Images where there is no table, but pictures are."""
    from twintrain.data.importing.folder import SUFFIXES
    from twintrain.data.tables import is_table

    if not data.is_dir():
        return Kind.IMAGE if data.suffix == ".npz" else Kind.TABLE
    files = [path for depth in ("*", "*/*") for path in data.glob(depth)]
    if any(map(is_table, files)):
        return Kind.TABLE
    pictures = any(path.suffix.lower() in SUFFIXES for path in data.glob("*/**/*"))
    return Kind.IMAGE if pictures or is_data_of_images(data) else Kind.TABLE


def _see_that_only_tables_are_asked(
    label: list[str] | None, task: str | None, metric: str | None, unit: str
) -> None:
    asked = {"--label": label, "--task": task, "--metric": metric, "--unit": unit}
    for option, value in asked.items():
        if value:
            raise TwintrainError(
                f"{option} is for tables: an image has the label of its directory, and is "
                "classified.",
                f"Leave {option} out.",
            )


def _look(data: Path, labels: Sequence[str], console: Console) -> Survey:
    from twintrain.data.table_files import find_tables
    from twintrain.data.table_survey import survey

    files = find_tables(data).files()
    with console.status(f"looking at {', '.join(str(path) for path in files[:3])}"):
        seen = survey(files)
    for label in labels:
        if label not in seen.columns:
            raise TwintrainError(
                f"The data has no column {label!r}.", did_you_mean(label, seen.columns)
            )
    if len(set(labels)) < len(labels):
        raise TwintrainError("--label names a column twice.", "Name each once.")
    return seen
