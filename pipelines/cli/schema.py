"""`twintrain schema`: what the columns of a table must be, inferred once and then enforced."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipelines.cli.exit_codes import ExitCode
from pipelines.cli.needs import need_pipeline
from pipelines.cli.options import RECIPE, Choice, SchemaOption, chosen
from pipelines.cli.quiet import quiet
from twintrain.errors import TwintrainError, shortened

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

    from twintrain.data.table_survey import Survey
    from twintrain.problems.user_problem import ProblemModule

app = typer.Typer(
    help="What the columns of a table must be: inferred once, enforced in every run.",
    no_args_is_help=True,
)
ProblemFile = Annotated[
    str | None,
    typer.Option(
        "--problem",
        metavar="FILE.py",
        help="The problem.",
        show_default="that of the recipe beside the data",
    ),
]
TableOption = Annotated[Path, typer.Option("--data", help="A table, or a directory of tables.")]
_MOST_SHOWN, _LONGEST = 6, 24  # values of a column, and characters of one


@app.command()
def infer(
    data: TableOption,
    problem: ProblemFile = None,
    schema: SchemaOption = None,
    force: Annotated[bool, typer.Option(help="Replace the one that is there.")] = False,
) -> None:
    """Look at a table, show what its columns are, and write that down beside it."""
    need_pipeline()
    choice = chosen(data, None, None, False, schema, problem)
    if choice.schema_file.exists() and not force:
        raise TwintrainError(
            f"There is a schema already: {choice.schema_file}.",
            "`twintrain schema diff` shows what would change; --force replaces it.",
        )
    _write(choice, Console(highlight=False))


@app.command()
def diff(data: TableOption, problem: ProblemFile = None, schema: SchemaOption = None) -> None:
    """Show where a table is not what its schema says; exit code 4 where it is not."""
    need_pipeline()
    from components.table_schema import differences

    _, rules, made, _ = _against(problem, data, schema)
    console = Console(highlight=False)
    found = _shown(differences(rules, made), console)
    if found:
        console.print(
            "`twintrain schema accept` takes the data for right.", style="dim", markup=False
        )
        raise typer.Exit(ExitCode.LOOK)
    console.print("The data is what the schema says.")


@app.command()
def accept(data: TableOption, problem: ProblemFile = None, schema: SchemaOption = None) -> None:
    """Widen the schema until a table is what it says; all else in it stays. `diff` shows first."""
    need_pipeline()
    from components.table_schema import accepted, as_text, differences
    from twintrain.processes.replacing import replace_text

    choice, rules, made, rows = _against(problem, data, schema)
    console = Console(highlight=False)
    found = _shown(differences(rules, made), console)
    if found:
        text = as_text(accepted(rules, made), rows)
        _see_that_the_problem_takes(text, choice)
        replace_text(choice.schema_file, text)
        where = f"Accepted, and written to {choice.schema_file}; comments in it are gone."
        console.print(where, style="dim", soft_wrap=True, markup=False)
        return
    console.print("The data is what the schema says: nothing was changed.")


def _shown(found: list[str], console: Console) -> list[str]:
    """What differs, after a line for each was printed."""
    for line in found:
        console.print(line, markup=False, soft_wrap=True)
    return found


def _see_that_the_problem_takes(text: str, choice: Choice) -> None:
    """Hold a schema to its problem before it takes the place of one that fits.

    Raises:
        TwintrainError: the problem cannot be trained by it.
    """
    from components.curated_schema import load_rules
    from twintrain.problems.find import statement_of
    from twintrain.processes.scratch import scratch

    statement = statement_of(choice.recipe)
    with scratch("schema") as folder:
        file = folder / choice.schema_file.name
        file.write_text(text, encoding="utf-8")
        try:
            load_rules(file, statement.raw_columns, statement)
        except TwintrainError as error:
            problem = error.problem.replace(str(file), str(choice.schema_file))
            raise TwintrainError(
                f"With that data the problem could not be run any more: {problem}",
                f"{error.remedy} The schema was left as it is.",
            ) from error


def _against(
    problem: str | None, data: Path, schema: Path | None
) -> tuple[Choice, schema_pb2.Schema, schema_pb2.Schema, int]:
    """A schema and what a table asks for, and how many rows that is from."""
    from components.curated_schema import load_rules
    from components.table_schema import schema_from

    choice = chosen(data, None, None, False, schema, problem)
    stated = _stated(choice)
    rules = load_rules(choice.schema_file, (), stated.statement)
    survey = _survey(choice)
    return choice, rules, schema_from(survey, stated), survey.rows


def see_schema(choice: Choice, console: Console) -> None:
    """Write a schema where a problem has none yet, show it, and see that problem, recipe and schema
    fit each other before TFX is started.
    """
    from google.protobuf import text_format

    from components.curated_schema import load_rules
    from components.table_columns import plan_of

    stated = _stated(choice)
    stated.statement.margin_of(choice.recipe)
    stated.statement.slices_of(choice.recipe)
    if not choice.schema_file.exists():
        _write(choice, console)
    rules = load_rules(choice.schema_file, stated.statement.raw_columns, stated.statement)
    plan_of(stated, text_format.MessageToString(rules))


def _write(choice: Choice, console: Console) -> None:
    from components.table_schema import as_text, schema_from
    from twintrain.processes.replacing import replace_text

    with console.status(f"looking at {choice.data}"):
        survey = _survey(choice)
        made = schema_from(survey, _stated(choice))
    replace_text(choice.schema_file, as_text(made, survey.rows))
    console.print(schema_table(made, survey))
    console.print(
        f"Written to {choice.schema_file}: every run is held to it.",
        style="dim",
        soft_wrap=True,
        markup=False,
    )


def _stated(choice: Choice) -> ProblemModule:
    """What is to be predicted from which columns."""
    from pipelines.local.launch import module_places
    from twintrain.problems.user_problem import read_module

    module = choice.recipe.problem.module
    if module is None:
        raise TwintrainError(
            f"Neither --problem nor the recipe {choice.recipe_source} says what is predicted.",
            f"Name the problem's file, --problem FILE.py, or a recipe in {RECIPE} beside the data.",
        )
    sys.path += [place for place in module_places() if place not in sys.path]
    with quiet():  # the module may import TensorFlow
        return read_module(module)


def _survey(choice: Choice) -> Survey:
    from twintrain.data.table_files import find_tables
    from twintrain.data.table_survey import survey

    return survey(find_tables(choice.data).files())


def _short(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
    return shortened(text, _LONGEST)


def schema_table(schema: schema_pb2.Schema, survey: Survey) -> Table:
    """The schema's columns with what was found in them."""
    from components.schema_features import class_values
    from components.table_columns import types_of

    read = types_of(schema)
    table = Table(
        title=f"{len(survey.columns)} columns, {survey.rows:,} rows",
        title_justify="left",
        box=None,
        header_style="dim",
        padding=(0, 2, 0, 0),
    )
    for heading in ("column", "type", "missing", "different", "values"):
        table.add_column(heading, justify="right" if heading[0] in "md" else "left")
    classes = {feature.name: class_values(feature) for feature in schema.feature}
    for name, column in survey.columns.items():
        kind = read.get(name, "not read").lower()
        shown = (_short(value) for value in column.values[:_MOST_SHOWN])
        values = ", ".join(shown)
        more = " …" if column.distinct > _MOST_SHOWN else ""
        what = f"{len(classes[name])} classes: " if classes.get(name) else ""
        table.add_row(
            name,
            {"int": "whole number", "float": "number", "bytes": "text"}.get(kind, kind),
            f"{column.missing:.1%}" if column.missing else "",
            f"{column.distinct:,}",
            f"{what}{values}{more}"[:60],
            style="dim" if kind == "not read" else None,
        )
    return table
