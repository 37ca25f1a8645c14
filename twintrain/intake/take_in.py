"""Taking images in: any `Source` becomes a data directory that `twintrain run` reads.

Beside the four IDX files the directory gets a schema (which labels there are), a recipe to build on (shape of the images,
names of the labels) and checksums. It appears under its name only when all of it is there.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import yaml

from twintrain import idx
from twintrain.errors import TwintrainError
from twintrain.intake.arrays import read_arrays
from twintrain.intake.folder import read_folder
from twintrain.intake.parquet import holds_parquet, read_parquet
from twintrain.intake.pixels import Shape, pixels_of, shape_like
from twintrain.intake.source import TEST, TRAIN, Pictures, Source
from twintrain.recipe import Recipe
from twintrain.recipe_files import load_recipe
from twintrain.spans import MARKER

SCHEMA, RECIPE = "schema.pbtxt", "recipe.yaml"
_SHOWN = 5  # images that could not be taken, named one by one
_RECIPE_HEAD = """# Made by `twintrain data import`. `extends` may name another recipe: standard, bare, augmented or a file.
# `twintrain recipe --recipe THIS_FILE` shows every decision there is.
"""


@dataclass(frozen=True)
class Wishes:
    """What is asked of an intake.

    Attributes:
        size: (height, width) all images are brought to; None demands one size of all.
        channels: 1 or 3; None takes the first image's.
        hold_out: share of each label held out for testing where the source has no split for it.
        seed: decides what is held out, and the order of images that come in directories.
        names: what the labels are called, in the order of their numbers; empty takes the source's own.
        label_column: of Parquet files with several columns of whole numbers.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    hold_out: float = 0.2
    seed: int = 0
    names: tuple[str, ...] = ()
    label_column: str | None = None


@dataclass(frozen=True)
class Taken:
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


def take_in(origin: Path, target: Path, wishes: Wishes, told: Callable[[str, int, int], None]) -> Taken:
    """Write a source of images as a data directory.

    Args:
        origin: a directory of images or Parquet files, a .npz or a .parquet file.
        target: a directory that does not exist yet, or is empty. A `span-N` takes shape and labels from the recipe
            that the first span left beside it.
        wishes: see there.
        told: called with a split, images done and images to do.

    Raises:
        TwintrainError: the source cannot be read, images do not fit together, or the target is in use. Nothing is left
            at the target then.
    """
    target = target if target.name else target.resolve()
    home = target.parent if re.fullmatch(r"span-\d+", target.name) else target
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TwintrainError(f"{target} is there already.", "Choose another with --to, or take it away first.")
    before = load_recipe(home / RECIPE) if home != target and (home / RECIPE).exists() else None
    wishes = _as_before(wishes, before) if before else wishes
    source = _read(origin, wishes).with_test(wishes.hold_out, wishes.seed)
    labels = _number_of_labels(source, origin, before)
    shape = shape_like(next(source.splits[TRAIN].read(np.array([0]))), wishes.size, wishes.channels)
    if before:
        _check_shape(shape, before.data.image_shape)
    draft = target.parent / f".{target.name}.partial"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        twice = _write(source, shape, draft, told)
        if before is None:
            _describe(draft if home == target else home, home.resolve().name, source, labels, shape)
        if home != target and any((span / MARKER).exists() for span in idx.find_spans(home).values()):
            (draft / MARKER).touch()  # where one span says that it is complete, all must
        if target.exists():
            target.rmdir()
        draft.rename(target)
    except OSError as error:
        raise TwintrainError(
            f"{error.filename or target}: {error.strerror}.", "Check mode, owner and free space."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    counts = {split: len(pictures) for split, pictures in source.splits.items()}
    seen = f"{twice:,} images of the test split are in the training split too: what is tested was learned."
    return Taken(home, home / RECIPE, counts, shape.sizes, labels, (*source.notes, *([seen] if twice else [])))


def _read(origin: Path, wishes: Wishes) -> Source:
    if not origin.exists():
        raise TwintrainError(f"{origin} does not exist.", "Name a directory, a .npz or a .parquet file.")
    if origin.suffix == ".parquet" or (origin.is_dir() and holds_parquet(origin)):
        source = read_parquet(origin, wishes.label_column)
    elif origin.is_dir():
        return read_folder(origin, wishes.names, wishes.seed)
    else:
        source = read_arrays(origin)
    return Source(source.splits, wishes.names or source.label_names, source.notes)


def _as_before(wishes: Wishes, before: Recipe) -> Wishes:
    """The same labels and channels as in earlier spans; what is asked for in the call counts more."""
    names = wishes.names or before.comparison.label_names
    channels = wishes.channels or before.data.image_shape[2]
    return Wishes(wishes.size, channels, wishes.hold_out, wishes.seed, names, wishes.label_column)


def _number_of_labels(source: Source, origin: Path, before: Recipe | None) -> int:
    highest = 1 + max(int(pictures.labels.max()) for pictures in source.splits.values())
    names = source.label_names
    if names and highest > len(names):
        raise TwintrainError(
            f"{origin} has labels up to {highest - 1}, and {len(names)} names for them.", "Name all with --names."
        )
    if before and names != before.comparison.label_names:
        raise TwintrainError(
            f"The labels are {', '.join(names)}; in earlier spans {', '.join(before.comparison.label_names)}.",
            "Spans share their labels: leave --names out.",
        )
    return len(names) or highest


def _check_shape(shape: Shape, earlier: tuple[int, int, int]) -> None:
    if shape.sizes != earlier:
        are, were = (" x ".join(map(str, sizes)) for sizes in (shape.sizes, earlier))
        raise TwintrainError(
            f"The images are {are}, those of earlier spans {were}.",
            f"Bring them to that: --size {earlier[0]}x{earlier[1]} --channels {earlier[2]}",
        )


def _write(source: Source, shape: Shape, folder: Path, told: Callable[[str, int, int], None]) -> int:
    """Both splits and their checksums; the number of test images that are among the training images, too."""
    digests, problems = {}, []
    for split, pictures in source.splits.items():
        prefix = idx.SPLIT_PREFIXES[split]
        sizes = shape.sizes if shape.channels > 1 else shape.sizes[:2]
        with (folder / f"{prefix}-images-idx{1 + len(sizes)}-ubyte").open("wb") as file:
            file.write(idx.header((len(pictures), *sizes)))
            digests[split], failed = _write_images(pictures, shape, file, partial(told, split))
            problems += failed
        labels = idx.header((len(pictures),)) + pictures.labels.astype(np.uint8).tobytes()
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    if problems:
        _refuse(problems, sum(map(len, source.splits.values())))
    sums = [f"{idx.sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / idx.CHECKSUMS).write_text("".join(sums), encoding="utf-8")
    known = set(digests[TRAIN])
    return sum(digest in known for digest in digests[TEST])


def _write_images(
    pictures: Pictures, shape: Shape, file: IO[bytes], told: Callable[[int, int], None]
) -> tuple[list[bytes], list[TwintrainError]]:
    """Write all images of a split; a digest of each that was written, and what was wrong with the others."""
    digests, problems = [], []
    for done, found in enumerate(pictures.read(np.arange(len(pictures))), 1):
        try:
            pixels = pixels_of(found, shape).tobytes()
        except TwintrainError as error:
            problems.append(error)
        else:
            file.write(pixels)
            digests.append(hashlib.blake2b(pixels, digest_size=16).digest())
        told(done, len(pictures))
    return digests, problems


def _refuse(problems: list[TwintrainError], images: int) -> NoReturn:
    lines = [error.problem for error in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"and {len(problems) - _SHOWN:,} more")
    raise TwintrainError(
        f"{len(problems):,} of {images:,} images cannot be taken in:\n  " + "\n  ".join(lines), problems[0].remedy
    )


def _describe(home: Path, name: str, source: Source, labels: int, shape: Shape) -> None:
    """The schema and the recipe of a data directory."""
    template = (resources.files("twintrain.intake") / SCHEMA).read_text(encoding="utf-8")
    schema = template.replace("LAST_LABEL", str(labels - 1))
    recipe = {
        "extends": "standard",
        "name": name[:80],
        "data": {"image_shape": list(shape.sizes)},
        "comparison": {"label_names": list(source.label_names)},
    }
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    for path, content in ((home / SCHEMA, schema), (home / RECIPE, _RECIPE_HEAD + text)):
        if not path.exists():  # beside earlier spans there may be a schema that somebody curated
            path.write_text(content, encoding="utf-8")
