"""A source written down: IDX files with their checksums, the schema and the recipe that go with
them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import yaml

from twintrain.data import idx
from twintrain.data.importing.labels import largest_difference
from twintrain.data.importing.pixels import Shape, pixels_of
from twintrain.data.importing.source import TEST, TRAIN, LabelledImages, Source
from twintrain.errors import TwintrainError
from twintrain.processes.replacing import replace_text

SCHEMA, RECIPE = "schema.pbtxt", "recipe.yaml"
# Largest difference of a label's share between the splits that passes as the same distribution, as
# data/schema.pbtxt.
THRESHOLD = 0.03
_SHOWN = 5  # images that could not be taken, named one by one
_RECIPE_HEAD = """\
# Made by `twintrain data import`. `extends` may name another recipe: standard, bare, augmented or \
a file.
# `twintrain recipe --recipe THIS_FILE` shows every decision there is.
"""
Told = Callable[[str, int, int], None]


def write_images(source: Source, shape: Shape, folder: Path, told: Told) -> int:
    """Write both splits and their checksums.

    Args:
        source: with both splits, labels numbered.
        shape: what every image is made into.
        folder: an empty directory.
        told: called with a split, images done and images to do.

    Returns:
        the number of test images that are among the training images, too.

    Raises:
        TwintrainError: some images cannot be read or do not fit; names the first of them.
    """
    digests, problems = {}, []
    for split, pictures in source.splits.items():
        prefix = idx.SPLIT_PREFIXES[split]
        sizes = shape.sizes if shape.channels > 1 else shape.sizes[:2]
        with (folder / f"{prefix}-images-idx{1 + len(sizes)}-ubyte").open("wb") as file:
            file.write(idx.header((len(pictures), *sizes)))
            digests[split], failed = _write_split(pictures, shape, file, partial(told, split))
            problems += failed
        labels = idx.header((len(pictures),)) + pictures.labels.astype(np.uint8).tobytes()
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(labels)
    if problems:
        _refuse(problems, sum(map(len, source.splits.values())))
    sums = [f"{idx.sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / idx.CHECKSUMS).write_text("".join(sums), encoding="utf-8")
    known = set(digests[TRAIN])
    return sum(digest in known for digest in digests[TEST])


def _write_split(
    pictures: LabelledImages, shape: Shape, file: IO[bytes], told: Callable[[int, int], None]
) -> tuple[list[bytes], list[TwintrainError]]:
    """Write all images of a split; a digest of each that was written, and what was wrong with the
    others.
    """
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
    remedies = dict.fromkeys(error.remedy for error in problems)
    raise TwintrainError(
        f"{len(problems):,} of {images:,} images cannot be taken in:\n  " + "\n  ".join(lines),
        " ".join(remedies),
    )


def describe(home: Path, name: str, source: Source, shape: Shape) -> list[str]:
    """Write the schema and the recipe of a data directory; what is there already is left as it is.

    Returns:
        a sentence where the schema allows labels more than the usual difference between the splits,
        else nothing.
    """
    difference = largest_difference(source)
    allowed = THRESHOLD if difference <= THRESHOLD else math.ceil(100 * difference + 0.5) / 100
    template = (resources.files("twintrain.data.importing") / SCHEMA).read_text(encoding="utf-8")
    schema = template.replace("LAST_LABEL", str(len(source.label_names) - 1)).replace(
        "THRESHOLD", f"{allowed:g}"
    )
    recipe = {
        "extends": "standard",
        "name": name[:80],
        "data": {"image_shape": list(shape.sizes)},
        "comparison": {"label_names": list(source.label_names)},
    }
    text = yaml.safe_dump(
        recipe, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )
    for path, content in ((home / SCHEMA, schema), (home / RECIPE, _RECIPE_HEAD + text)):
        if not path.exists():
            replace_text(path, content)
    if allowed == THRESHOLD:
        return []
    return [
        f"A label's share differs by up to {100 * difference:.1f} points between the splits; "
        f"{SCHEMA} allows {100 * allowed:.0f} (usually {100 * THRESHOLD:.0f})."
    ]
