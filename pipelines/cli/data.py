"""The `twintrain data` commands: get a public data set, or take in images of one's own."""

from __future__ import annotations

import enum
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipelines.cli.exit_codes import ExitCode
from pipelines.cli.interruption import tell_interrupted
from twintrain.errors import TwintrainError

if TYPE_CHECKING:
    from twintrain.data.importing.import_data import Imported, ImportOptions

app = typer.Typer(help="Get data to compare on.", no_args_is_help=True)


class Background(enum.Enum):
    """What may be behind transparent pixels."""

    WHITE = "white"
    BLACK = "black"


_SPLITS = {"train": "training images", "eval": "test images"}


@app.command(
    epilog="Examples:  twintrain data fetch fashion-mnist --to data/fashion  |  "
    "twintrain data fetch flights"
)
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="mnist, fashion-mnist; tables with a problem: flights, flights-by-month, "
            "opinions (texts), visits."
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="Target directory.", show_default="data/NAME")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Take the files from this directory instead of the internet."),
    ] = None,
) -> None:
    """Download a public data set and verify it, or check and take over files you already have."""
    from twintrain.data.download import fetch_dataset
    from twintrain.data.public_tables import TABLES, fetch_table

    target = to or Path("data") / name
    fetch = fetch_table if name in TABLES else fetch_dataset
    for line in fetch(name, target, source, Console(stderr=True, highlight=False)):
        typer.echo(line)


SourceArgument = Annotated[
    Path,
    typer.Argument(
        help="A directory with one directory of image files per label (below train and test, or "
        "without), one of Parquet files (train-….parquet, test-….parquet, as on Hugging Face), a "
        ".parquet file, or a .npz file with x_train, y_train, x_test and y_test."
    ),
]
TargetOption = Annotated[
    Path | None,
    typer.Option(
        help="New data directory, or a span-N in one.", show_default="data/NAME of the source"
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="HxW",
        help="Bring all images to this height and width.",
        show_default="they have one size",
    ),
]
ChannelsOption = Annotated[
    int | None,
    typer.Option(min=1, max=3, help="1 (grey) or 3 (colour).", show_default="as the first image"),
]
BackgroundOption = Annotated[
    Background | None,
    typer.Option(help="What is behind transparent pixels.", show_default="they are refused"),
]
HoldOutOption = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=0.5,
        help="Share of each label to test on, where the source has no test split.",
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(min=0, help="Decides what is held out, and the order of images from directories."),
]
NamesOption = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,…",
        help="What labels 0, 1, … are called; where the source names its labels, the order "
        "they are numbered in.",
        show_default="the source's names",
    ),
]


@app.command(
    "import",
    epilog="Examples:  twintrain data import photos --size 64x64  |  "
    "twintrain data import cifar10.npz  |  "
    "twintrain data import hub/cifar10 --to data/cifar10  |  "
    "twintrain data import june --to data/shop/span-6",
)
def import_(
    source: SourceArgument,
    to: TargetOption = None,
    size: SizeOption = None,
    channels: ChannelsOption = None,
    background: BackgroundOption = None,
    hold_out: HoldOutOption = 0.2,
    seed: SeedOption = 0,
    names: NamesOption = None,
    image_column: Annotated[
        str | None, typer.Option(help="Parquet: which column has the images.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Parquet: which column has the labels.")
    ] = None,
) -> None:
    """Take in images of your own, grey or in colour: they become a data directory for `twintrain
    run --data`.
    """
    from twintrain.data.importing.import_data import ImportOptions
    from twintrain.data.importing.parquet import Columns

    if channels == 2:
        raise TwintrainError(
            "--channels 2: images are grey or in colour.", "Say --channels 1 or --channels 3."
        )
    options = ImportOptions(
        size=_parse_size(size) if size else None,
        channels=channels,
        background=background.value if background else None,
        hold_out=hold_out,
        seed=seed,
        names=tuple(name.strip() for name in names.split(",")) if names else (),
        columns=Columns(image_column, label_column),
    )
    taken = watched_import(source, to or _beside(source), options)
    told(taken)
    root = f"runs/{taken.data.resolve().name}"
    command = ["twintrain", "run", "--data", str(taken.data), "--root", root]
    typer.echo(f"Next:  {shlex.join(command)}")


def watched_import(source: Path, target: Path, options: ImportOptions) -> Imported:
    """Take in images under bars that show how far it is.

    Raises:
        TwintrainError: see `import_data`.
        typer.Exit: Ctrl-C was pressed; nothing is left at the target.
    """
    from twintrain.data.importing.import_data import import_data

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        bars = {split: progress.add_task(text, total=None) for split, text in _SPLITS.items()}
        try:
            return import_data(
                source,
                target,
                options,
                lambda split, done, total: progress.update(
                    bars[split], completed=done, total=total
                ),
            )
        except KeyboardInterrupt:
            tell_interrupted(f"Nothing was left at {target}.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def _beside(source: Path) -> Path:
    """Where the data goes if nothing is said."""
    from twintrain.data.importing.import_data import is_span

    whole = source.resolve()
    target = Path("data") / (whole.stem if whole.is_file() else whole.name)
    if is_span(target):
        raise TwintrainError(
            f"{source} is called like one of several spans.",
            f"Say of what: --to data/NAME/{whole.name}",
        )
    return target


def told(taken: Imported) -> None:
    """Say what was taken in."""
    shape = " x ".join(map(str, taken.shape))
    counts = " and ".join(f"{taken.counts[split]:,} {text}" for split, text in _SPLITS.items())
    typer.echo(f"{counts} of {shape}, {taken.labels} labels")
    for note in taken.notes:
        typer.echo(f"note: {note}")


def _parse_size(text: str) -> tuple[int, int]:
    from twintrain.data.importing.pixels import MOST_PIXELS

    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip().lower())
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < height <= MOST_PIXELS or not 0 < width <= MOST_PIXELS:
        raise TwintrainError(
            f"--size {text!r} is not of the form HEIGHTxWIDTH, each from 1 to {MOST_PIXELS}.",
            "Example: --size 64x64",
        )
    return height, width
