"""Image files in one directory per label: `train/cat/1.jpg` and `test/cat/7.jpg`, or `cat/1.jpg`
alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.data.importing.source import (
    TEST,
    TEST_NAMES,
    TRAIN,
    TRAIN_NAMES,
    Encoded,
    LabelledImages,
    Source,
    listed,
)
from twintrain.errors import TwintrainError

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
Labelled = tuple[str, Path]


def read_folder(folder: Path, seed: int) -> Source:
    """Find the images and their labels; none is opened yet. Labels are numbered in the order of
    their names.

    Args:
        folder: holds `train` and one of `TEST_NAMES` with a directory per label in each, or such
            directories itself.
        seed: decides the order of the images. Listed by label, they would come label by label.

    Raises:
        TwintrainError: there are no such directories, or it cannot be told which are splits and
            which labels.
    """
    homes, notes = _splits(folder)
    files = {}
    for split, home in homes.items():
        files[split], left_out = _images(home)
        notes += left_out
    if homes[TRAIN] == folder:
        _refuse_deeper(folder, files[TRAIN])
    names = tuple(
        sorted({label for images in files.values() for label, _ in images}, key=_in_order)
    )
    return Source(
        {split: _pictures(images, names, seed) for split, images in files.items()},
        names,
        tuple(notes),
    )


def _splits(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Where the labels' directories of each split lie, and what is not used."""
    there = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    train, test = _first_called(TRAIN_NAMES, there), _first_called(TEST_NAMES, there)
    if train is None and test is None:
        return {TRAIN: folder}, []
    if train is None:
        assert test is not None
        raise TwintrainError(
            f"{folder} has {test.name}, but no directory to train on.",
            f"Call that `train`; where {test.name} is a label, put the labels' directories into "
            "`train`.",
        )
    homes = {TRAIN: train} | ({TEST: test} if test else {})
    used = f"{train.name} and {test.name} are" if test else f"{train.name} is"
    unused = [path for path in there if path not in homes.values()]
    return homes, [f"{path} was not used: {used} the data." for path in unused]


def _first_called(names: tuple[str, ...], folders: list[Path]) -> Path | None:
    """The directory with the first of those names that is there, in upper or lower case."""
    named = [path for name in names for path in folders if path.name.lower() == name]
    return named[0] if named else None


def _refuse_deeper(folder: Path, files: list[Labelled]) -> None:
    """Directories of directories are splits of a name that is not known here, not labels."""
    if all(path.parent.parent != folder for _, path in files):
        example = files[0][1].relative_to(folder)
        raise TwintrainError(
            f"No directory in {folder} has images in it, only directories that have: {example}.",
            "Call the split to train on `train` and the other `test`, or name the directory above "
            "the labels.",
        )


def _in_order(name: str) -> tuple[bool, int, str]:
    """Numbers by their value, before words."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _images(home: Path) -> tuple[list[Labelled], list[str]]:
    """(label's name, file) of every image below a directory of its label, and what was left out."""
    found: list[Labelled] = []
    loose: list[str] = []
    others: list[str] = []
    for path in sorted(_files(home)):
        parts = path.relative_to(home).parts
        if path.suffix.lower() not in SUFFIXES:
            others.append(str(path.relative_to(home)))
        elif len(parts) == 1:
            loose.append(path.name)
        else:
            found.append((parts[0], path))
    if not found:
        raise TwintrainError(
            f"No image below {home} in a directory named like its label.",
            f"Images end in {', '.join(sorted(SUFFIXES))}; put each into a directory: "
            "train/cat/1.jpg.",
        )
    notes = [f"{home}: left out, because they are no images: {listed(others)}."] if others else []
    if loose:
        notes.append(
            f"{home}: left out, because they lie in no directory of a label: {listed(loose)}."
        )
    return found, notes


def _files(home: Path) -> Iterator[Path]:
    """All files below a directory, links followed; hidden ones (.DS_Store, a Mac's ._1.jpg beside
    1.jpg) are not.
    """
    seen = set()
    for folder, folders, files in os.walk(home, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()  # links in a circle
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _pictures(files: list[Labelled], names: tuple[str, ...], seed: int) -> LabelledImages:
    numbers = {name: number for number, name in enumerate(names)}
    order = np.random.default_rng([seed, 0xF01D]).permutation(len(files))
    paths = [files[position][1] for position in order]
    labels = np.array([numbers[files[position][0]] for position in order], np.int64)

    def read(positions: npt.NDArray[np.int64]) -> Iterator[Encoded]:
        for position in positions:
            path = paths[position]
            try:
                yield Encoded(str(path), path.read_bytes())
            except OSError as error:
                yield Encoded(str(path), b"", f"cannot be read: {error.strerror}")

    return LabelledImages(labels, read)
