"""Parquet files with a column of encoded images, as Hugging Face's hub serves image data sets."""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twintrain.data.importing.memory import require_memory
from twintrain.data.importing.source import (
    TEST,
    TEST_NAMES,
    TRAIN,
    TRAIN_NAMES,
    Encoded,
    LabelledImages,
    Source,
    checked_labels,
    listed,
)
from twintrain.errors import TwintrainError, did_you_mean, shortened

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

_ROWS = 256  # read at a time


@dataclass(frozen=True)
class Columns:
    """Which columns hold the images and the labels; None where it is to be found out."""

    image: str | None = None
    label: str | None = None


ANY_COLUMNS = Columns()


def read_parquet(path: Path, columns: Columns) -> Source:
    """The images of a Parquet file, or of a directory of files, in their order.

    Args:
        path: a file; or a directory in which, or somewhere below which, files are called
            `train….parquet` and `test….parquet`, or lie in directories of such names
            (`TRAIN_NAMES`, `TEST_NAMES`).
        columns: which to take; else the only one of encoded images, and `label` or the only one of
            whole numbers.

    Raises:
        TwintrainError: pyarrow is missing, a file cannot be read, the columns or the splits cannot
            be told, or files differ in what they call their labels.
    """
    files, left = ({TRAIN: [path]}, []) if path.is_file() else _by_split(path)
    first = files[TRAIN][0]
    with _reading(first):
        image, label = _columns(first, _opened(first).schema_arrow, columns)
    named = {
        file: _label_names(_opened(file).schema_arrow.metadata or {}, label)
        for found in files.values()
        for file in found
    }
    names = next((names for names in named.values() if names), ())
    for file, other in named.items():
        if other not in ((), names):
            raise TwintrainError(
                f"{file} calls its labels {listed([*other])}, another file {listed([*names])}.",
                "Name the directory of one data set.",
            )
    splits = {split: _pictures(found, image, label) for split, found in files.items()}
    return Source(splits, names, (f"Not used: {listed(left)}.",) if left else ())


def holds_parquet(folder: Path) -> bool:
    """Whether a Parquet file to train on is in the directory or below it."""
    return any(_split_of(path, folder)[0] == TRAIN for path in folder.rglob("*.parquet"))


def _split_of(path: Path, folder: Path) -> tuple[str | None, str, Path]:
    """A file's split, what that is called there, and the directory of the data set it is of."""
    parents = path.relative_to(folder).parts[:-1]
    for depth, word in (
        (len(parents), re.sub(r"-\d.*$", "", path.stem)),
        *reversed([*enumerate(parents)]),
    ):
        name = word.lower()
        split = TRAIN if name in TRAIN_NAMES else TEST if name in TEST_NAMES else None
        if split:
            return split, name, folder.joinpath(*parents[:depth])
    return None, "", path.parent


def _by_split(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Files per split of the one data set there is, and what is left out."""
    sets: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    left: list[str] = []
    for path in sorted(folder.rglob("*.parquet")):
        split, name, home = _split_of(path, folder)
        if split:
            sets[home][name].append(path)
        else:
            left.append(str(path))
    if len(sets) != 1:
        homes = listed([str(home) for home in sorted(sets)])
        raise TwintrainError(
            f"{folder} has {len(sets)} data sets: {homes}.", "Name the directory of one."
        )
    ((_, found),) = sets.items()
    trains, tests = (
        [name for name in names if name in found] for names in (TRAIN_NAMES, TEST_NAMES)
    )
    left += [str(path) for name in (*trains[1:], *tests[1:]) for path in found[name]]
    return {TRAIN: found[trains[0]]} | ({TEST: found[tests[0]]} if tests else {}), left


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        import pyarrow  # noqa: F401 - whether it is there
    except ImportError:
        raise TwintrainError(
            "Parquet is read with pyarrow, which is not installed.", "pip install pyarrow"
        ) from None
    try:
        yield
    except TwintrainError:
        raise
    except Exception as error:
        # Beside its own, Arrow lets out what Python's conversions raise: names that are not UTF-8.
        reason = " ".join(str(error).split())
        raise TwintrainError(
            f"{path} cannot be read as Parquet: {shortened(reason, 300)}.", "Fetch the file again."
        ) from error


def _opened(path: Path) -> parquet.ParquetFile:
    with _reading(path):
        from pyarrow import parquet

        return parquet.ParquetFile(path)


def _columns(path: Path, schema: pyarrow.Schema, asked: Columns) -> tuple[str, str]:
    """The names of the columns of images and of labels."""
    import pyarrow.types as kinds

    images = [field.name for field in schema if _holds_images(field.type)]
    numbers = [field.name for field in schema if kinds.is_integer(field.type)]
    image = _chosen(path, schema, "encoded images", images, asked.image, "--image-column")
    usual = asked.label or ("label" if "label" in numbers else None)
    return image, _chosen(path, schema, "whole numbers", numbers, usual, "--label-column")


def _holds_images(kind: pyarrow.DataType) -> bool:
    """Whether a column of that type may hold encoded images: bytes, or Hugging Face's struct of
    `bytes` and `path`.
    """
    import pyarrow.types as kinds

    def encoded(one: pyarrow.DataType) -> bool:
        return kinds.is_binary(one) or kinds.is_large_binary(one)

    if not kinds.is_struct(kind):
        return bool(encoded(kind))
    return any(inner.name == "bytes" and encoded(inner.type) for inner in kind)


def _chosen(
    path: Path, schema: pyarrow.Schema, what: str, there: list[str], asked: str | None, option: str
) -> str:
    if asked in there:
        return str(asked)
    if asked:
        raise TwintrainError(
            f"{path} has no column {asked!r} of {what}. {did_you_mean(asked, there)}", option
        )
    if len(there) == 1:
        return there[0]
    has = listed([f"{field.name} ({field.type})" for field in schema], 20)
    raise TwintrainError(
        f"{path} has {len(there)} columns of {what}; it holds {has}.",
        f"Choose with {option}: {listed(there, 20)}." if there else f"Give it a column of {what}.",
    )


def _label_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """What Hugging Face's `ClassLabel` calls the labels."""
    try:
        features: Any = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        names = features[label].get("names", ())
    # ValueError: no JSON, no UTF-8, a number of more digits than int() takes.
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _pictures(files: list[Path], image: str, label: str) -> LabelledImages:
    parts = []
    for path in files:
        with _reading(path):
            parts.append(_labels(path, image, label))
    labels = checked_labels(np.concatenate(parts), f"{label} in {files[0]}")

    def read(positions: npt.NDArray[np.int64]) -> Iterator[Encoded]:
        wanted = np.zeros(len(labels), bool)
        wanted[positions] = True
        return itertools.compress(
            itertools.chain.from_iterable(_rows(path, image) for path in files), wanted
        )

    return LabelledImages(labels, read)


def _labels(path: Path, image: str, label: str) -> npt.NDArray[Any]:
    """The labels of one file, of which it is seen that it has the images too."""
    file = _opened(path)
    missing = [name for name in (image, label) if name not in file.schema_arrow.names]
    if missing:
        raise TwintrainError(
            f"{path} has no column {missing[0]!r}, as the first file has.",
            "Files belong together.",
        )
    # Equal values may take no room in the file, but each takes eight bytes here.
    require_memory(8 * file.metadata.num_rows, f"The column {label!r} of {path}")
    column = file.read(columns=[label]).column(0)
    if column.null_count:
        raise TwintrainError(
            f"{path} has {column.null_count} rows without a {label}.", "Take them out."
        )
    found: npt.NDArray[Any] = column.to_numpy()
    return found


def _rows(path: Path, image: str) -> Iterator[Encoded]:
    with _reading(path):
        cells = (
            cell
            for batch in _opened(path).iter_batches(_ROWS, columns=[image])
            for cell in batch.column(0).to_pylist()
        )
        for number, cell in enumerate(cells):
            content = cell.get("bytes") if isinstance(cell, dict) else cell
            yield Encoded(f"row {number} of {path}", content or b"")
