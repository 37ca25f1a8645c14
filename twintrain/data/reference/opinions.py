"""23,703 tweets, reviews of films and of products, and sentences of newspaper editorials, each with
what twenty people found it to be, from -4 (most negative) to 4.

C. J. Hutto, E. Gilbert: VADER: A parsimonious rule-based model for sentiment analysis of social
media text. ICWSM 2014.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

_SOURCES = {
    "tweets": "tweet",
    "movieReviewSnippets": "film",
    "amazonReviewSnippets": "product",
    "nytEditorialSnippets": "editorial",
}
_NEUTRAL = 0.5  # a mean rating no farther from 0 than this says neither
_INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"


def in_one_table(archive: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """All texts in one file.

    Args:
        archive: the sdist of the package vaderSentiment.

    Yields:
        name of the file, and its rows.
    """
    with tarfile.open(archive) as package:
        top = package.getnames()[0].partition("/")[0]
        inner = package.extractfile(f"{top}/{_INNER}")
        assert inner is not None  # the archive is the published one
        with tarfile.open(fileobj=inner) as published:
            rows = pd.concat([_read(published, *source) for source in _SOURCES.items()])
    yield "opinions.csv", rows


def _read(published: tarfile.TarFile, stem: str, source: str) -> pd.DataFrame:
    file = published.extractfile(f"hutto_ICWSM_2014/{stem}_GroundTruth.txt")
    assert file is not None
    lines = io.TextIOWrapper(file, encoding="utf-8", errors="replace").read().splitlines()
    cells = [line.split("\t", 2) for line in lines if line.strip()]
    rating = pd.Series([float(mean) for _, mean, _ in cells])
    opinion = pd.Series("neutral", rating.index)
    opinion[rating > _NEUTRAL] = "positive"
    opinion[rating < -_NEUTRAL] = "negative"
    texts = [" ".join(text.split()) for *_, text in cells]
    return pd.DataFrame({"text": texts, "source": source, "opinion": opinion})
