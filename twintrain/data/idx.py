"""IDX files (the format of MNIST), plain or gzipped, read as a stream.

    pair = find_pair(folder, "train")
    summary = inspect_pair(pair)                 # reads everything once, says what is wrong
    for image in read_images(pair.images, 10_000, 20_000): ...

The format: two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension
as a big-endian 32-bit number, then the values. Source: http://yann.lecun.com/exdb/mnist/
(archived). Images have three dimensions (number, height, width) or, in colour, a fourth: the
channels.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from twintrain.errors import TwintrainError

# The given split's name in the pipeline, and how the original files call it.
SPLIT_PREFIXES = {"train": "train", "eval": "t10k"}
CHECKSUMS = "SHA256SUMS"
# What a pixel is multiplied by to lie in 0..1. Not divided by 255: TensorFlow turns the division
# into this anyway, and NumPy does not, which would differ in the last bit.
UNIT = np.float32(1 / 255)
MOST_CHANNELS = 4
_BLOCK = 1 << 20
_RESTORE = "Restore the file, or fetch it again with `twintrain data fetch`."


@dataclass(frozen=True)
class IdxPair:
    """The image file and the label file of one split."""

    split: str
    images: Path
    labels: Path


@dataclass(frozen=True)
class PairSummary:
    """What `inspect_pair` found: number of examples, image shape (height, width, channels) and
    examples per label.
    """

    count: int
    shape: tuple[int, int, int]
    label_counts: dict[int, int]


def find_pair(folder: Path, split: str) -> IdxPair:
    """The IDX pair of a split in a folder.

    Raises:
        TwintrainError: the folder or one of the two files is missing, or there are several
            candidates.
    """
    prefix = SPLIT_PREFIXES[split]
    if not folder.is_dir():
        raise TwintrainError(
            f"The data directory {folder} does not exist.", "Name one with --data."
        )
    return IdxPair(split, _only(folder, f"{prefix}-images*"), _only(folder, f"{prefix}-labels*"))


def is_begun(folder: Path) -> bool:
    """Whether some file of a pair lies there, by its name."""
    return any(
        path.name.startswith(f"{prefix}-") and "-ubyte" in path.name
        for path in folder.iterdir()
        for prefix in SPLIT_PREFIXES.values()
    )


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(
        path for path in folder.glob(pattern) if not path.name.endswith((".partial", ".sha256"))
    )
    if not found:
        raise TwintrainError(
            f"No file {pattern} in {folder}.",
            "A data directory holds train-images*, train-labels*, t10k-images* and t10k-labels* "
            "(IDX, gzipped or not).",
        )
    if len(found) > 1:
        raise TwintrainError(
            f"Several files match {pattern} in {folder}: {', '.join(p.name for p in found)}.",
            "Keep one.",
        )
    return found[0]


def inspect_pair(pair: IdxPair) -> PairSummary:
    """Read both files once, in blocks, and check all that can be wrong with them.

    Raises:
        TwintrainError: a file is unreadable, truncated, corrupt or not IDX; its checksum differs
            from the folder's SHA256SUMS; the counts differ.
    """
    sums = read_checksums(pair.images.parent)
    for path in (pair.images, pair.labels):
        verify_checksum(path, sums)
    count, *sizes = _dimensions(pair.images, 3, 4)
    (labels_count,) = _dimensions(pair.labels, 1)
    if count != labels_count:
        raise TwintrainError(
            f"{pair.images} holds {count:,} images but {pair.labels} holds {labels_count:,} "
            "labels.",
            "The two files must belong together.",
        )
    if not count or not all(sizes):
        shown = " x ".join(map(str, (count, *sizes)))
        raise TwintrainError(f"{pair.images} holds no images (shape {shown}).", _RESTORE)
    _consume(pair.images, _header_size(sizes), count * math.prod(sizes))
    labels = read_labels(pair.labels)
    names, counts = np.unique(labels, return_counts=True)
    height, width, channels = (*sizes, 1)[:3]
    if channels > MOST_CHANNELS:
        raise TwintrainError(
            f"{pair.images} holds images of {channels} channels.",
            f"An image has at most {MOST_CHANNELS} (number, height, width, channels).",
        )
    return PairSummary(
        count, (height, width, channels), dict(zip(names.tolist(), counts.tolist(), strict=True))
    )


def read_labels(path: Path) -> npt.NDArray[np.uint8]:
    """All labels of a label file, uint8 [n]; a file of labels is small."""
    (count,) = _dimensions(path, 1)
    with _Reading(path), _open(path) as file:
        file.seek(8)
        data = _exactly(file, count, path)
        _at_end(file, path)
    return np.frombuffer(data, np.uint8)


def read_images(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """The raw bytes of images start..stop-1, one at a time; a gzipped file is read up to `start` in
    blocks.
    """
    _, *sizes = _dimensions(path, 3, 4)
    size = math.prod(sizes)
    with _Reading(path), _open(path) as file:
        file.seek(_header_size(sizes) + start * size)  # gzip seeks by decompressing in blocks
        for _ in range(start, stop):
            yield _exactly(file, size, path)


def find_spans(data: Path) -> dict[int, Path]:
    """The `span-N` sub-directories of a data directory, by number."""
    found = (
        (re.fullmatch(r"span-(\d+)", path.name), path)
        for path in data.glob("span-*")
        if path.is_dir()
    )
    return {int(match.group(1)): path for match, path in found if match}


def split_limits(limit: int | None, sizes: dict[str, int]) -> dict[str, int]:
    """How many examples each split keeps when all splits together may keep `limit`."""
    total = sum(sizes.values())
    if limit is None or limit >= total:
        return dict(sizes)
    return {split: max(1, round(limit * size / total)) for split, size in sizes.items()}


def read_checksums(folder: Path) -> dict[str, str]:
    """File name and SHA-256 from the folder's SHA256SUMS, if it has one."""
    path = folder / CHECKSUMS
    with _Reading(path):
        if not path.is_file():
            return {}
        text = path.read_text(encoding="utf-8", errors="replace")
    lines = (line.split() for line in text.splitlines())
    return {parts[1].lstrip("*"): parts[0] for parts in lines if len(parts) == 2}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    sha = hashlib.sha256()
    with _Reading(path), path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def verify_checksum(path: Path, sums: dict[str, str]) -> None:
    """Check a file against the folder's SHA256SUMS; a file not listed there passes."""
    expected = sums.get(path.name)
    if expected is None:
        return
    actual = sha256_of(path)
    if actual != expected:
        raise TwintrainError(
            f"{path} is not the file it should be: SHA-256 {actual[:16]}…, expected "
            f"{expected[:16]}….",
            _RESTORE,
        )


def header(shape: Sequence[int]) -> bytes:
    """What stands before the values of an IDX file of bytes of that shape."""
    return b"\0\0\x08" + struct.pack(f">B{len(shape)}I", len(shape), *shape)


def _dimensions(path: Path, *expected: int) -> tuple[int, ...]:
    """The shape of the values; `expected` are the numbers of dimensions it may have."""
    with _Reading(path), _open(path) as file:
        start = _exactly(file, 4, path)
        if start[:3] != b"\0\0\x08" or start[3] not in expected:
            kinds = " or ".join(map(str, expected))
            starts = " or ".join(f"00 00 08 {number:02x}" for number in expected)
            raise TwintrainError(
                f"{path} is not an IDX file of {kinds}-dimensional bytes: it starts with "
                f"{start.hex(' ')}, expected {starts}.",
                _RESTORE,
            )
        return struct.unpack(f">{start[3]}I", _exactly(file, 4 * start[3], path))


def _header_size(sizes: Sequence[int]) -> int:
    return 8 + 4 * len(sizes)


def _consume(path: Path, header: int, size: int) -> None:
    with _Reading(path), _open(path) as file:
        file.seek(header)
        seen = 0
        while block := file.read(_BLOCK):
            seen += len(block)
    if seen != size:
        what = "is truncated" if seen < size else "has bytes left over"
        raise TwintrainError(
            f"{path} {what}: {seen:,} bytes of values, its header promises {size:,}.", _RESTORE
        )


def _exactly(file: gzip.GzipFile | IO[bytes], size: int, path: Path) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise TwintrainError(
            f"{path} is truncated: {len(data):,} bytes where {size:,} should follow.", _RESTORE
        )
    return data


def _at_end(file: gzip.GzipFile | IO[bytes], path: Path) -> None:
    if file.read(1):
        raise TwintrainError(f"{path} has bytes left over after its last value.", _RESTORE)


def _open(path: Path) -> gzip.GzipFile | IO[bytes]:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if gzipped else path.open("rb")


class _Reading:
    """Turns what reading can raise into one sentence about the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, EOFError):
            raise TwintrainError(
                f"{self._path} is truncated: its gzip stream has no end.", _RESTORE
            ) from error
        if isinstance(error, (gzip.BadGzipFile, zlib.error)):
            raise TwintrainError(
                f"{self._path} is a corrupt gzip file ({error}).", _RESTORE
            ) from error
        if isinstance(error, PermissionError):
            raise TwintrainError(
                f"{self._path} cannot be read: permission denied.", "Check its mode and owner."
            ) from error
        if isinstance(error, OSError):
            raise TwintrainError(
                f"{self._path} cannot be read: {error.strerror or error}.", _RESTORE
            ) from error
