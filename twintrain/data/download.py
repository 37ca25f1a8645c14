"""Public data sets of IDX files: downloaded with checksums, or taken over from a directory."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from twintrain.data.idx import CHECKSUMS, sha256_of
from twintrain.data.public_tables import TABLES, recipe_beside
from twintrain.errors import TwintrainError, did_you_mean
from twintrain.processes.locked import locked
from twintrain.processes.replacing import put_in_place, replace_text

_BLOCK = 1 << 18


@dataclass(frozen=True)
class Dataset:
    """Where a data set lies and what its unpacked files must be.

    Attributes:
        url: folder of the gzipped files.
        md5: per file name without .gz, the published MD5 of the unpacked file.
        recipe: built-in recipe that goes with it; None for the usual one.
    """

    url: str
    md5: dict[str, str]
    recipe: str | None = None


DATASETS = {
    "mnist": Dataset(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        {
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion-mnist": Dataset(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        {
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        recipe="fashion",
    ),
}


def fetch_dataset(name: str, target: Path, source: Path | None, console: Console) -> Iterator[str]:
    """Bring a data set into `target`, verified, with a SHA256SUMS beside it.

    Args:
        name: a key of `DATASETS`.
        target: directory; made when missing. Files already there and right are kept.
        source: directory to take the files from (gzipped or not); None downloads them.
        console: for progress.

    Yields:
        a line per finished file.

    Raises:
        TwintrainError: unknown name, missing source file, no connection, or a file that is not the
            published one; or another process fetches into the same directory.
    """
    if name not in DATASETS:
        raise TwintrainError(
            f"No data set called {name!r}.", did_you_mean(name, [*DATASETS, *TABLES])
        )
    dataset = DATASETS[name]
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TwintrainError(
            f"{target} cannot be made: {error.strerror}.", "Choose another with --to."
        ) from error
    busy = TwintrainError(
        f"Another `data fetch` is writing to {target}.",
        "Wait for it to end, or choose another --to.",
    )
    # Two that append to one half-fetched file would leave some of each.
    with locked(target / ".lock", busy):
        yield from _fetch(dataset, target, source, console)


def _fetch(dataset: Dataset, target: Path, source: Path | None, console: Console) -> Iterator[str]:
    for stem, md5 in dataset.md5.items():
        final = target / f"{stem}.gz"
        if final.is_file() and _md5_of_content(final) == md5:
            yield f"{final}  already there, verified"
            continue
        partial = final.with_suffix(".gz.partial")
        if source is None:
            _download(f"{dataset.url}{final.name}", partial, console)
        else:
            _take_over(source, stem, partial)
        found = _md5_of_content(partial)
        if found != md5:
            partial.unlink()
            raise TwintrainError(
                f"{final.name} is not the published file: MD5 of its content {found}, expected "
                f"{md5}.",
                "It was discarded; fetch again, or take the files from another place with --from.",
            )
        put_in_place(partial, final)
        yield f"{final}  verified"
    names = [f"{stem}.gz" for stem in sorted(dataset.md5)]
    lines = [f"{sha256_of(target / file)}  {file}\n" for file in names]
    replace_text(target / CHECKSUMS, "".join(lines))
    yield (
        f"{target / CHECKSUMS}  written; `twintrain run --data {target}` verifies it on every read"
    )
    if dataset.recipe is not None:
        yield from recipe_beside(target, dataset.recipe)


def _take_over(source: Path, stem: str, partial: Path) -> None:
    packed, plain = source / f"{stem}.gz", source / stem
    try:
        if packed.is_file():
            shutil.copyfile(packed, partial)
        elif plain.is_file():
            # No name and no time stamp inside, so that the same content always gives the same file.
            with (
                plain.open("rb") as raw,
                partial.open("wb") as file,
                gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as gz,
            ):
                shutil.copyfileobj(raw, gz)
        else:
            raise TwintrainError(
                f"{source} has neither {stem}.gz nor {stem}.", "Name the directory that has it."
            )
    except OSError as error:
        raise TwintrainError(
            f"{error.filename}: {error.strerror}.", "Check mode, owner and free space."
        ) from error


def _download(url: str, partial: Path, console: Console) -> None:
    """Download into `partial`, going on where an earlier attempt stopped."""
    import httpx
    from tenacity import (
        Retrying,
        retry_if_exception_type,
        stop_after_attempt,
        wait_exponential_jitter,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    attempts = Retrying(
        stop=stop_after_attempt(4),
        wait=wait_exponential_jitter(initial=1, max=10),
        retry=retry_if_exception_type(httpx.TransportError),
        reraise=True,
    )
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(partial.name.removesuffix(".partial"), total=None)
            attempts(_download_once, url, partial, progress, task)
    except OSError as error:
        raise TwintrainError(
            f"{partial}: {error.strerror}.", "Check mode, owner and free space."
        ) from error
    except httpx.HTTPStatusError as error:
        raise TwintrainError(
            f"{url} answers {error.response.status_code}.",
            "Take the files from a directory with --from.",
        ) from error
    except httpx.HTTPError as error:
        raise TwintrainError(
            f"{url} cannot be reached ({error}).",
            "What has arrived is kept and continued next time. Without internet, take the files "
            "from a directory: --from DIR",
        ) from error


def _download_once(url: str, partial: Path, progress: Progress, task: int) -> None:
    import httpx

    have = partial.stat().st_size if partial.exists() else 0
    # The gzip file itself is wanted, not its content, which some servers and clients unpack on the
    # way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with httpx.stream("GET", url, headers=headers, timeout=30, follow_redirects=True) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # everything is here already; the checksum decides
        answer.raise_for_status()
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0  # the server starts over
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        progress.update(task, total=total, completed=have)  # type: ignore[arg-type]
        with partial.open("ab" if have else "wb") as file:
            for block in answer.iter_raw():
                file.write(block)
                progress.update(task, advance=len(block))  # type: ignore[arg-type]


def _md5_of_content(path: Path) -> str:
    """MD5 of a gzipped file's content; of a broken one, a text that matches nothing."""
    md5 = hashlib.md5(usedforsecurity=False)
    try:
        with gzip.open(path, "rb") as file:
            while block := file.read(_BLOCK):
                md5.update(block)
    except (OSError, EOFError, zlib.error) as error:
        return f"unreadable ({error})"
    return md5.hexdigest()
