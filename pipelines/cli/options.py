"""Options that several commands share, and what they mean together."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.user_file import importable
from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from twintrain.recipe.recipe import Recipe

STANDARD = "standard"
SCHEMA, RECIPE = "schema.pbtxt", "recipe.yaml"
# What --quick changes in a recipe: enough to see everything at work. Nothing is searched, but where
# the trainings use what was found.
QUICK = ("data.limit=6000", "seeds=[0,1]")
_QUICK_SEARCH = ("tuning.examples=1000", "tuning.trials=2")
_RECIPE_HELP = (
    "A built-in recipe (standard, textbook, bare, augmented; flights, opinions, visits, fashion) "
    "or a YAML file."
)

RecipeOption = Annotated[str, typer.Option("--recipe", "-r", help=_RECIPE_HELP)]
RecipeOfDataOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        help=_RECIPE_HELP,
        show_default=f"{RECIPE} of the data, else {STANDARD}",
    ),
]
# Of the standard recipe: its threshold is one for MNIST.
NOT_MNIST = ("comparison.threshold=null",)
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override one field. May be repeated."),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Directory of IDX files (`data import` makes one) or of span-N.",
        show_default="MNIST",
    ),
]
ProblemOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py",
        help="Your own problem: a file that says what is predicted from which columns (`twintrain "
        "new` writes one). --data is then a table, or a directory of tables.",
        show_default="images with one class each",
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(help="Curated schema.", show_default=f"{SCHEMA} of the data, else MNIST's"),
]
QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="A stratified sample of 6,000 examples, two seeds, no tuning."),
]


@dataclass(frozen=True)
class Choice:
    """What a comparison is to be of.

    Attributes:
        recipe: loaded and checked, overrides included.
        recipe_source: where it comes from, a built-in name or a path.
        data: absolute path of a directory of IDX files or of `span-N` sub-directories; need not
            exist.
        schema_file: absolute path of the curated schema; need not exist.
    """

    recipe: Recipe
    recipe_source: str
    data: Path
    schema_file: Path


def bundled_data() -> Path:
    """The directory of the MNIST that comes along: in the repository, or where a wheel puts it."""
    from pipelines.config import REPOSITORY

    installed = Path(sysconfig.get_path("data")) / "share" / "twintrain" / "data"
    own = REPOSITORY / "data"
    return own if (own / SCHEMA).exists() else installed


def chosen(
    data: Path | None,
    recipe: str | None,
    overrides: list[str] | None,
    quick: bool,
    schema: Path | None,
    problem: str | None = None,
) -> Choice:
    """What `--data`, `--recipe`, `--set`, `--quick` and `--schema` mean together.

    Recipe and schema are taken from beside the data (for spans: from beside their directories)
    where they are there and not named; `--quick` gives way to `--set`.

    Args:
        data: None for the MNIST that comes along.
        recipe: None for the one beside the data, else the standard one.
        overrides: 'dotted.key=value' strings.
        quick: whether to take a small sample.
        schema: None for the one beside the data, else MNIST's.
        problem: a file that states a problem of the user's own; None for images.

    Raises:
        TwintrainError: as `load_recipe`, or there is no such file, or no data for it is named.
    """
    from twintrain.recipe.files import load_recipe

    if problem is not None:
        if data is None:
            raise TwintrainError(
                "--problem needs --data: the table it is about.",
                "Example: --problem flights.py --data flights.csv",
            )
        _, module = importable("--problem", problem)
        own = () if recipe or _beside(data, RECIPE) else NOT_MNIST
        overrides = [*own, f"problem.module={module}", *(overrides or [])]
    folder = data or bundled_data()
    source = recipe or _beside(folder, RECIPE) or STANDARD
    quickly: tuple[str, ...] = ()
    if quick:
        applied = load_recipe(source, overrides or []).tuning.apply
        quickly = (*QUICK, *(_QUICK_SEARCH if applied else ("tuning.trials=0",)))
    found = load_recipe(source, [*quickly, *(overrides or [])])
    own_problem = found.problem.module is not None
    if own_problem and data is None:
        raise TwintrainError(
            f"The recipe {source} is for tables, and --data names none.", _where_from(found)
        )
    return Choice(
        recipe=found,
        recipe_source=str(source),
        data=folder.resolve(),
        schema_file=_schema_file(schema, folder, own_problem).resolve(),
    )


def _where_from(recipe: Recipe) -> str:
    room, _, name = str(recipe.problem.module).rpartition(".")
    known = room == "twintrain.problems.reference"
    return f"`twintrain data fetch {name}` gets it." if known else "Name it: --data TABLE"


def _schema_file(named: Path | None, data: Path, own_problem: bool) -> Path:
    if named is not None or own_problem:
        return named or beside(data, SCHEMA)
    return _beside(data, SCHEMA) or bundled_data() / SCHEMA


def beside(data: Path, name: str) -> Path:
    """Where a file about data lies: in its directory, or beside the one file that it is."""
    return data.with_name(f"{data.stem}.{name}") if data.is_file() else data / name


def _beside(data: Path, name: str) -> Path | None:
    path = beside(data, name)
    return path if path.exists() else None
