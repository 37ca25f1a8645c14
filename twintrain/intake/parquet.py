"""Parquet files with a column of encoded images, as Hugging Face's hub serves image data sets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError, did_you_mean
from twintrain.intake.source import TEST, TEST_NAMES, TRAIN, Encoded, Pictures, Source, checked_labels

if TYPE_CHECKING:
    from pyarrow import parquet

_ROWS = 256  # read at a time


def read_parquet(path: Path, label_column: str | None) -> Source:
    """The images of a Parquet file, or of a directory of files called train…, test… (`TEST_NAMES`), in their order.

    Args:
        path: the file or the directory, looked through with all below it.
        label_column: None takes `label`, or the only column of whole numbers.

    Raises:
        TwintrainError: pyarrow is missing, a file cannot be read, or the columns cannot be told.
    """
    files = _by_split(path)
    columns, names = _columns(files[TRAIN][0], label_column)
    return Source({split: _pictures(parts, *columns) for split, parts in files.items()}, names)


def holds_parquet(folder: Path) -> bool:
    """Whether there is a Parquet file in the directory or below it."""
    return next(folder.rglob("*.parquet"), None) is not None


def _by_split(path: Path) -> dict[str, list[Path]]:
    if path.is_file():
        return {TRAIN: [path]}
    files = sorted(path.rglob("*.parquet"))
    split = {TRAIN: [file for file in files if file.stem.startswith("train")]}
    tests = ([file for file in files if file.stem.startswith(name)] for name in TEST_NAMES)
    split[TEST] = next((found for found in tests if found), [])
    if not split[TRAIN]:
        raise TwintrainError(
            f"No file below {path} is called train….parquet; there are {', '.join(file.name for file in files[:5])}.",
            "Name the directory of one data set, or a single file.",
        )
    return {name: found for name, found in split.items() if found}


def _opened(path: Path) -> parquet.ParquetFile:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise TwintrainError(
            "Parquet files are read with pyarrow, which is not installed.", "pip install pyarrow"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise TwintrainError(f"{path} cannot be read as Parquet: {error}.", "Fetch the file again.") from error


def _columns(path: Path, label_column: str | None) -> tuple[tuple[str, str], tuple[str, ...]]:
    """(image column, label column), and the labels' names where the file has them."""
    import pyarrow.types as kinds

    schema = _opened(path).schema_arrow
    images = [
        field.name
        for field in schema
        if kinds.is_binary(field.type)
        or (kinds.is_struct(field.type) and any(inner.name == "bytes" for inner in field.type))
    ]
    numbers = [field.name for field in schema if kinds.is_integer(field.type)]
    if len(images) != 1:
        has = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise TwintrainError(f"{path} has {len(images)} columns of encoded images: {has}.", "Keep one.")
    label = label_column or ("label" if "label" in numbers else numbers[0] if len(numbers) == 1 else "")
    if label not in numbers:
        wanted = f"no column {label!r} of whole numbers" if label else "several columns of whole numbers"
        raise TwintrainError(f"{path} has {wanted}. {did_you_mean(label, numbers)}", "Choose with --label-column.")
    return (images[0], label), _label_names(schema.metadata or {}, label)


def _label_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """What Hugging Face's `ClassLabel` calls the labels."""
    try:
        features: Any = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return tuple(str(name) for name in features[label].get("names", ()))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError):
        return ()


def _pictures(files: list[Path], image: str, label: str) -> Pictures:
    opened = [(path, _opened(path)) for path in files]
    columns = [file.read(columns=[label]).column(0) for _, file in opened]
    for (path, _), column in zip(opened, columns, strict=True):
        if column.null_count:
            raise TwintrainError(f"{path} has {column.null_count} rows without a {label}.", "Take them out.")
    labels = checked_labels(np.concatenate([column.to_numpy() for column in columns]), f"{label} in {files[0]}")

    def read(positions: npt.NDArray[np.int64]) -> Iterator[Encoded]:
        wanted = np.zeros(len(labels), bool)
        wanted[positions] = True
        return itertools.compress(_rows(opened, image), wanted)

    return Pictures(labels, read)


def _rows(opened: list[tuple[Path, parquet.ParquetFile]], image: str) -> Iterator[Encoded]:
    for path, file in opened:
        number = 0
        for batch in file.iter_batches(_ROWS, columns=[image]):
            for value in batch.column(0).to_pylist():
                content = value.get("bytes") if isinstance(value, dict) else value
                yield Encoded(f"row {number} of {path}", content or b"")
                number += 1
