"""Which number each label has, the same in every span."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from twintrain.data.importing.source import MOST_LABELS, SPOKEN, LabelledImages, Source, listed
from twintrain.errors import TwintrainError


def numbered(source: Source, wanted: tuple[str, ...], earlier: tuple[str, ...]) -> Source:
    """The source with its labels numbered, and a name for each.

    Labels that have names in the source keep them: `earlier`, else `wanted`, else the source's own
    order says which number each has. Labels that are only numbers keep those, and are called what
    `earlier` or `wanted` says, or else by their number.

    Args:
        source: with labels as it numbers them.
        wanted: names asked for, in the order of their numbers; empty for none.
        earlier: names that earlier spans have, in that order; empty for the first span.

    Raises:
        TwintrainError: a label is not among the names, a name is there twice or empty, there are
            too few labels or too many, or `wanted` differs from `earlier`.
    """
    if earlier and wanted and wanted != earlier:
        raise TwintrainError(
            f"--names says {listed([*wanted])}; earlier spans have {listed([*earlier])}.",
            "Spans share their labels: leave --names out.",
        )
    used = _used(source)
    own = source.label_names
    names = earlier or wanted or own or tuple(str(label) for label in range(used[-1] + 1))
    _check_names(names)
    found = _names_in_source(own, used) if own else _names_of_numbers(names, used)
    _check_known(
        found, names, "Leave those images out." if earlier else "Name every label with --names."
    )
    table = np.zeros(used[-1] + 1, np.int64)
    table[used] = [names.index(name) for name in found]
    splits = {
        split: LabelledImages(table[pictures.labels], pictures.read)
        for split, pictures in source.splits.items()
    }
    return replace(source, splits=splits, label_names=names)


def _used(source: Source) -> list[int]:
    """Every label there is an image of, rising."""
    labels = [np.unique(pictures.labels) for pictures in source.splits.values()]
    return [int(label) for label in np.unique(np.concatenate(labels))]


def _names_in_source(own: tuple[str, ...], used: list[int]) -> list[str]:
    """What a source that names its labels calls those in use."""
    if used[-1] >= len(own):
        raise TwintrainError(
            f"There is a label {used[-1]}, and {len(own)} names for labels.", "Mend the source."
        )
    return [own[label] for label in used]


def _names_of_numbers(names: tuple[str, ...], used: list[int]) -> list[str]:
    """The names at those numbers; the number itself where the names do not go so far."""
    return [names[label] if label < len(names) else str(label) for label in used]


def _check_known(found: list[str], names: tuple[str, ...], remedy: str) -> None:
    strangers = [name for name in found if name not in names]
    if strangers:
        raise TwintrainError(
            f"There are images of {listed(strangers)}; the labels are {listed([*names])}.", remedy
        )


def check_complete(source: Source) -> None:
    """See that every label is in every split, as the pipeline demands.

    Raises:
        TwintrainError: one is not.
    """
    for split, pictures in source.splits.items():
        seen = set(np.unique(pictures.labels).tolist())
        missing = [name for number, name in enumerate(source.label_names) if number not in seen]
        if missing:
            raise TwintrainError(
                f"The {SPOKEN[split]} split has no image of {listed(missing)}.",
                "Both splits need images of every label (two of each, where the test split is held "
                "out); labels that are numbers start at 0 and have no gaps.",
            )


def largest_difference(source: Source) -> float:
    """By how much the shares of a label differ most between the splits, 0 to 1."""
    counts = [
        np.bincount(found.labels, minlength=len(source.label_names))
        for found in source.splits.values()
    ]
    shares = [count / count.sum() for count in counts]
    return float(np.abs(shares[0] - shares[1]).max())


def _check_names(names: tuple[str, ...]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice or "" in names:
        what = f"The label {twice[0]!r} is named twice." if twice else "A label has an empty name."
        raise TwintrainError(what, "Give every label a name of its own with --names.")
    broken = [name for name in names if not name.isprintable()]
    if broken:
        raise TwintrainError(f"{broken[0]!r} is no name that can be written down.", "Rename it.")
    if not 2 <= len(names) <= MOST_LABELS:
        raise TwintrainError(
            f"There are {len(names)} labels; 2 to {MOST_LABELS} can be told apart.",
            "Images come in one directory per label: train/cat/1.jpg, train/dog/2.jpg, "
            "test/cat/7.jpg.",
        )
