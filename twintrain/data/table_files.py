"""Which files of a directory are the tables of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twintrain.data import table_queries
from twintrain.data.spans import choose_span, span_folder, span_pattern
from twintrain.data.tables import ENDINGS, is_table
from twintrain.errors import TwintrainError

_SPLITS = {"train": ("train",), "eval": ("test", "eval")}


@dataclass(frozen=True)
class TableFiles:
    """Where tables lie.

    Attributes:
        base: the directory that patterns are relative to.
        patterns: per split, its files; one of the name 'all' where files are of no split.
        folder: the directory that holds them.
        span: the span they are of; None without spans.
    """

    base: Path
    patterns: dict[str, str]
    folder: Path
    span: int | None

    @property
    def given(self) -> bool:
        """Whether the files say which rows are held out."""
        return set(self.patterns) != {"all"}

    def files(self) -> list[Path]:
        """All of them, sorted."""
        names = {Path(pattern).name for pattern in self.patterns.values()}
        found = {path for name in names for path in self.folder.glob(name)}
        return sorted(path for path in found if is_table(path))

    def sources(self) -> list[Path]:
        """All that their rows come from: these, and the databases that queries among them ask.

        Raises:
            TwintrainError: a query does not name a database that is there.
        """
        return table_queries.sources_of(self.files())


def find_tables(data: Path, span: int | None = None) -> TableFiles:
    """The tables of a directory, of one of its spans, or one file.

    Args:
        data: a file, or a directory of files or of `span-N`.
        span: which span; None for the newest.

    Raises:
        TwintrainError: there are none, or they are of several kinds, or only one split is there.
    """
    if data.is_file():
        if not data.name.lower().endswith(ENDINGS):
            raise _none(data)
        return TableFiles(data.parent, {"all": data.name}, data.parent, None)
    if not data.is_dir():
        raise TwintrainError(f"There is no data at {data}.", "Name a file or a directory: --data")
    chosen = choose_span(data, span)[0]
    folder = span_folder(data, chosen)
    names = sorted(path.name for path in folder.iterdir() if is_table(path))
    kinds = {next(end for end in ENDINGS if name.lower().endswith(end)) for name in names}
    if not names:
        raise _none(folder)
    if len(kinds) > 1:
        raise TwintrainError(
            f"{folder} holds tables of several kinds: {', '.join(sorted(kinds))}.",
            "Leave those of one kind there.",
        )
    ending = kinds.pop()
    below = "" if chosen is None else span_pattern(data, chosen) + "/"
    found = {
        split: prefix
        for split, prefixes in _SPLITS.items()
        for prefix in prefixes
        if any(name.lower().startswith(prefix) for name in names)
    }
    if not found:
        return TableFiles(data, {"all": f"{below}*{ending}"}, folder, chosen)
    if len(found) == 1:
        (only,) = found.values()
        other = "test" if only == "train" else "train"
        raise TwintrainError(
            f"{folder} has files {only}* and none {other}*.",
            f"Add {other}{ending}, or name them otherwise: rows are held out then.",
        )
    patterns = {split: f"{below}{prefix}*{ending}" for split, prefix in found.items()}
    return TableFiles(data, patterns, folder, chosen)


def _none(place: Path) -> TwintrainError:
    return TwintrainError(f"{place} holds no table.", f"Tables are files of {', '.join(ENDINGS)}.")
