"""Taking images in: any `Source` becomes a data directory that `twintrain run` reads.

Beside the four IDX files the directory gets a schema (which labels there are), a recipe to build on
(shape of the images, names of the labels) and checksums. It appears under its name only when all of
it is there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from twintrain.data import idx
from twintrain.data.importing.arrays import read_arrays
from twintrain.data.importing.folder import read_folder
from twintrain.data.importing.labels import check_complete, numbered
from twintrain.data.importing.parquet import ANY_COLUMNS, Columns, holds_parquet, read_parquet
from twintrain.data.importing.pixels import Shape, shape_like
from twintrain.data.importing.source import TRAIN, Source
from twintrain.data.importing.writing import RECIPE, Told, describe, write_images
from twintrain.data.spans import MARKER
from twintrain.errors import TwintrainError
from twintrain.processes.locked import locked
from twintrain.processes.replacing import put_in_place
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe


@dataclass(frozen=True)
class ImportOptions:
    """What is asked of an intake.

    Attributes:
        size: (height, width) all images are brought to; None demands one size of all.
        channels: 1 or 3; None takes the first image's.
        background: 'white' or 'black', what is behind transparent pixels; None refuses them.
        hold_out: share of each label held out for testing where the source has no split for it.
        seed: decides what is held out, and the order of images that come in directories.
        names: what labels 0, 1, 2 … are called or, where the source names them, in which order they
            are numbered.
        columns: of Parquet files.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    background: str | None = None
    hold_out: float = 0.2
    seed: int = 0
    names: tuple[str, ...] = ()
    columns: Columns = ANY_COLUMNS


@dataclass(frozen=True)
class Imported:
    """What an intake left.

    Attributes:
        data: what `--data` is to name.
        recipe: the recipe to build on.
        counts: images per split ('train', 'eval').
        shape: height, width and channels.
        labels: number of labels.
        notes: a sentence for everything a reader should know about it.
    """

    data: Path
    recipe: Path
    counts: dict[str, int]
    shape: tuple[int, int, int]
    labels: int
    notes: tuple[str, ...]


def import_data(origin: Path, target: Path, options: ImportOptions, told: Told) -> Imported:
    """Write a source of images as a data directory.

    Args:
        origin: a directory of images or Parquet files, a .npz or a .parquet file.
        target: a directory that does not exist yet, or is empty. A `span-N` takes labels, and asks
            for the shape, of the recipe that the first span left beside it.
        options: see there.
        told: called with a split, images done and images to do.

    Raises:
        TwintrainError: the source cannot be read, images do not fit together, or the target is in
            use, by another intake too. Nothing is left at the target then.
    """
    target = target if target.name else target.resolve()
    home = target.parent if is_span(target) else target
    with _alone_at(home):
        return _import(origin, target, home, options, told)


@contextmanager
def _alone_at(home: Path) -> Iterator[None]:
    """Keep other intakes away from a data directory: spans share a recipe, and two that write the
    same files leave some of each.
    """
    busy = TwintrainError(
        f"Another `data import` is writing to {home}.",
        "Wait for it to end, or choose another --to.",
    )
    try:
        with locked(home.resolve().parent / f".{home.resolve().name}.lock", busy):
            yield
    except OSError as error:
        raise TwintrainError(
            f"{error.filename or home}: {error.strerror}.", "Check mode, owner and free space."
        ) from error


def _import(origin: Path, target: Path, home: Path, options: ImportOptions, told: Told) -> Imported:
    before = _earlier(target, home)
    source = _read(origin, options).with_test(options.hold_out, options.seed)
    source = numbered(source, options.names, before.comparison.label_names if before else ())
    check_complete(source)
    shape = _shape(source, options, before)
    with _draft_of(target) as draft:
        notes = [*source.notes]
        twice = write_images(source, shape, draft, told)
        if before is None:
            described = draft if home == target else home
            notes += describe(described, home.resolve().name, source, shape)
        if home != target and _spans_are_marked(home):
            (draft / MARKER).touch()
    if twice:
        notes.append(
            f"{twice:,} images of the test split are in the training split too: what is tested was "
            "learned."
        )
    counts = {split: len(pictures) for split, pictures in source.splits.items()}
    return Imported(home, home / RECIPE, counts, shape.sizes, len(source.label_names), tuple(notes))


def is_span(target: Path) -> bool:
    """Whether a directory is called like one of several spans."""
    return re.fullmatch(r"span-\d+", target.name) is not None


def _spans_are_marked(home: Path) -> bool:
    """Whether one of the spans says that it is complete: then all must."""
    return any((span / MARKER).exists() for span in idx.find_spans(home).values())


def _earlier(target: Path, home: Path) -> Recipe | None:
    """The recipe that earlier spans left; None where there are none."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TwintrainError(
            f"{target} is there already.", "Choose another with --to, or take it away first."
        )
    if home == target:
        return None
    if next(home.glob("train-images*"), None):
        raise TwintrainError(
            f"{home} is a data set itself: beside {target.name} it would not be read any more.",
            f"Move its files into {home / 'span-1'}, or choose another place with --to.",
        )
    if (home / RECIPE).exists():
        return load_recipe(home / RECIPE)
    if idx.find_spans(home):
        raise TwintrainError(
            f"{home} has spans, but no {RECIPE} that says what shape and labels they have.",
            "Write one, with data.image_shape and comparison.label_names.",
        )
    return None


def _read(origin: Path, options: ImportOptions) -> Source:
    if not origin.exists():
        raise TwintrainError(
            f"{origin} does not exist.", "Name a directory, a .npz or a .parquet file."
        )
    if origin.suffix == ".parquet" or (origin.is_dir() and holds_parquet(origin)):
        return read_parquet(origin, options.columns)
    return read_folder(origin, options.seed) if origin.is_dir() else read_arrays(origin)


def _shape(source: Source, options: ImportOptions, before: Recipe | None) -> Shape:
    """What all images are made into; the one of earlier spans where there are any."""
    channels = options.channels or (before.data.image_shape[2] if before else None)
    pictures = source.splits[TRAIN]
    shape = shape_like(
        pictures.read(np.arange(len(pictures))), options.size, channels, options.background
    )
    if before and shape.sizes != before.data.image_shape:
        height, width, depth = before.data.image_shape
        raise TwintrainError(
            f"The images are {' x '.join(map(str, shape.sizes))}, those of earlier spans {height} "
            f"x {width} x {depth}.",
            f"Bring them to that: --size {height}x{width} --channels {depth}",
        )
    # What only earlier spans say does not allow to give up colour.
    return replace(shape, to_grey=options.channels == 1)


@contextmanager
def _draft_of(target: Path) -> Iterator[Path]:
    """A directory that becomes `target` when all went well, and is taken away otherwise."""
    draft = target.parent / f".{target.name}.partial"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        yield draft
        put_in_place(draft, target)
    except OSError as error:
        raise TwintrainError(
            f"{error.filename or target}: {error.strerror}.", "Check mode, owner and free space."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
