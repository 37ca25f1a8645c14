"""Image files in one directory per label: `train/cat/1.jpg` and `test/cat/7.jpg`, or `cat/1.jpg` alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError
from twintrain.intake.source import MOST_LABELS, TEST, TEST_NAMES, TRAIN, Encoded, Pictures, Source

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


def read_folder(folder: Path, names: tuple[str, ...], seed: int) -> Source:
    """Find the images and their labels; none is opened yet.

    Args:
        folder: holds `train` and one of `TEST_NAMES` with a directory per label in each, or such directories itself.
        names: labels in the order of their numbers; empty takes the names of the directories, sorted.
        seed: decides the order of the images. Listed by label, they would come label by label.

    Raises:
        TwintrainError: there are no such directories, a label is not among `names`, or there are too many.
    """
    tests = [name for name in TEST_NAMES if (folder / name).is_dir()]
    homes = {TRAIN: folder / "train", TEST: folder / tests[0]} if tests and (folder / "train").is_dir() else {}
    if not homes:
        homes = {TRAIN: folder / "train" if (folder / "train").is_dir() else folder}
    classes = {split: _classes(home) for split, home in homes.items()}
    found = tuple(sorted(set().union(*classes.values()), key=_in_order))
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
    notes = [f"{folder / name} was not used: {tests[0]} is tested on." for name in tests[1:]] if TEST in homes else []
    splits = {}
    for split, home in homes.items():
        files, others = _images(home, classes[split])
        if others:
            notes.append(f"{others:,} files below {home} are no images and were left out.")
        splits[split] = _pictures(files, names, seed)
    return Source(splits, names, tuple(notes))


def _classes(home: Path) -> list[str]:
    return [path.name for path in home.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _in_order(name: str) -> tuple[bool, int, str]:
    """Numbers by their value, before words."""
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _images(home: Path, classes: list[str]) -> tuple[list[tuple[str, Path]], int]:
    """(label's name, file) of every image, and how many other files there are."""
    found, others = [], 0
    for name in sorted(classes):
        for path in sorted(path for path in (home / name).rglob("*") if path.is_file()):
            if path.suffix.lower() in SUFFIXES:
                found.append((name, path))
            elif not path.name.startswith("."):
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
