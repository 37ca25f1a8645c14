"""Image files in one directory per label: `train/cat/1.jpg` and `test/cat/7.jpg`, or `cat/1.jpg` alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.intake.source import MOST_LABELS, TEST, TEST_NAMES, TRAIN, TRAIN_NAMES, Encoded, Pictures, Source

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


def read_folder(folder: Path, names: tuple[str, ...], seed: int) -> Source:
    """Find the images and their labels; none is opened yet.

    Args:
        folder: holds `train` and one of `TEST_NAMES` with a directory per label in each, or such directories itself.
        names: labels in the order of their numbers; empty takes the names of the directories with images, sorted.
        seed: decides the order of the images. Listed by label, they would come label by label.

    Raises:
        TwintrainError: there are no such directories, a label is not among `names`, or there are too many.
    """
    homes, notes = _splits(folder)
    files = {}
    for split, home in homes.items():
        files[split], others = _images(home)
        if others:
            notes.append(f"{others:,} files below {home} are no images and were left out.")
    if homes[TRAIN] == folder:
        _refuse_deeper(folder, files[TRAIN])
    found = tuple(sorted({label for images in files.values() for label, _ in images}, key=_in_order))
    strangers = sorted(set(found) - set(names)) if names else []
    if strangers:
        raise TwintrainError(
            f"{folder} has images of {', '.join(strangers[:5])}; the labels are {', '.join(names)}.",
            "Take the directory away, or name it with --names.",
        )
    names = names or found
    if not 2 <= len(names) <= MOST_LABELS:
        raise TwintrainError(
            f"{folder} has {len(names)} directories of images; 2 to {MOST_LABELS} labels can be told apart.",
            "Give one directory per label: train/cat/1.jpg, train/dog/2.jpg, test/cat/7.jpg.",
        )
    return Source({split: _pictures(images, names, seed) for split, images in files.items()}, names, tuple(notes))


def _splits(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Where the labels' directories of each split lie, and what is not used."""
    there = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    train = next((there[name] for name in TRAIN_NAMES if name in there), None)
    if train is None:
        return {TRAIN: folder}, []
    tests = [there[name] for name in TEST_NAMES if name in there]
    notes = [f"{path} was not used: {tests[0].name} is tested on." for path in tests[1:]]
    return {TRAIN: train} | ({TEST: tests[0]} if tests else {}), notes


def _refuse_deeper(folder: Path, files: list[tuple[str, Path]]) -> None:
    """Directories of directories are splits of a name that is not known here, not labels."""
    if all(path.parent.parent != folder for _, path in files):
        example = files[0][1].relative_to(folder)
        raise TwintrainError(
            f"No directory in {folder} has images in it, only directories that have: {example}.",
            "Call the split to train on `train` and the other `test`, or name the directory above the labels.",
        )


def _in_order(name: str) -> tuple[bool, int, str]:
    """Numbers by their value, before words."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _images(home: Path) -> tuple[list[tuple[str, Path]], int]:
    """(label's name, file) of every image below a directory of its label, and how many other files there are."""
    found, others = [], 0
    for path in sorted(path for path in home.glob("*/**/*") if path.is_file()):
        parts = path.relative_to(home).parts
        if any(part.startswith(".") for part in parts):
            continue  # .DS_Store, and the ._1.jpg that a Mac leaves beside 1.jpg
        if path.suffix.lower() in SUFFIXES:
            found.append((parts[0], path))
        else:
            others += 1
    if not found:
        raise TwintrainError(
            f"No image below {home} in a directory named like its label.",
            f"Images end in {', '.join(sorted(SUFFIXES))}; put each into a directory: train/cat/1.jpg.",
        )
    return found, others


def _pictures(files: list[tuple[str, Path]], names: tuple[str, ...], seed: int) -> Pictures:
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
                raise TwintrainError(
                    f"{path} cannot be read: {error.strerror}.", "Check its mode and owner."
                ) from error

    return Pictures(labels, read)
