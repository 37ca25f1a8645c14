"""Where records are kept: one file per span, recipe and recipe name, on a disk or in an object
store (fsspec).

A record's name says what it is of, so that a run that is repeated replaces its record instead of
adding one, and runs that end at the same time write different files. A file appears whole or not at
all.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import fsspec
from pydantic import ValidationError

from twintrain.errors import TwintrainError, explained
from twintrain.parsing.addresses import refuse_credentials
from twintrain.parsing.sealed import sealed_json, was_changed
from twintrain.processes.replacing import replacing
from twintrain.trend.span_record import SpanRecord

_NAME = re.compile(r"^span-(\d{9})-([0-9a-f]{16})\.json$")


class RecordStore:
    """All records below one place.

    Args:
        place: a directory, or a URL that fsspec knows (s3://bucket/prefix, gs://…, memory://…).
            minio://bucket/prefix is S3 at the endpoint that AWS_ENDPOINT_URL names, as on Kubeflow
            Pipelines.

    Raises:
        TwintrainError: the kind of place is unknown, what it needs is not installed, or there are
            credentials in the address.
    """

    def __init__(self, place: str) -> None:
        refuse_credentials(place, "The place of records")
        self.place = place
        url = re.sub(r"^minio://", "s3://", place)
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise TwintrainError(
                f"Records cannot be kept at {place}: {error}", "Name a directory, or s3://…"
            ) from error
        self._local = self._files.protocol in ("file", ("file", "local"))

    def put(self, record: SpanRecord) -> str:
        """Keep a record; one of the same span, recipe and recipe name is replaced.

        Returns:
            where it is.

        Raises:
            TwintrainError: it cannot be written there.
        """
        path = self._path(record.span, record.recipe_name, record.recipe_hash)
        text = sealed_json(record).encode()
        try:
            if self._local:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                with replacing(Path(path)) as partial:
                    partial.write_bytes(text)
            else:
                # One upload: object stores show an object when it is complete.
                self._files.pipe_file(path, text)
        except Exception as error:  # object stores raise errors of their own, without a common base
            problem = (
                f"The record of span {record.span} cannot be written to {self.place}: {error}."
            )
            raise TwintrainError(
                problem, "Check the place's existence, rights and space."
            ) from error
        return path

    def all(self) -> list[SpanRecord]:
        """Every record, by span, then by the time it was made.

        Raises:
            TwintrainError: a record cannot be read or is not one; names the file.
        """
        self._files.invalidate_cache()
        try:
            names = self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise TwintrainError(
                f"The records at {self.place} cannot be listed: {error}.",
                "Check the address, its rights and credentials.",
            ) from error
        records = [self._read(name) for name in names if _NAME.match(name.rsplit("/", 1)[-1])]
        return sorted(records, key=lambda record: (record.span, record.created))

    def has(self, span: int, recipe_name: str, recipe_hash: str) -> bool:
        """Whether there is a record of that span and recipe under that name.

        Raises:
            TwintrainError: the place cannot be asked.
        """
        try:
            return bool(self._files.exists(self._path(span, recipe_name, recipe_hash)))
        except Exception as error:
            raise TwintrainError(
                f"The records at {self.place} cannot be listed: {error}.",
                "Check the address, its rights and credentials.",
            ) from error

    def _path(self, span: int, recipe_name: str, recipe_hash: str) -> str:
        # A trend goes by recipe name, which any text may be: two names of one recipe are two
        # trends.
        key = hashlib.sha256(f"{recipe_hash} {recipe_name}".encode()).hexdigest()[:16]
        return f"{self._root.rstrip('/')}/span-{span:09d}-{key}.json"

    def _read(self, path: str) -> SpanRecord:
        try:
            text: Any = self._files.cat_file(path)
            record = SpanRecord.model_validate_json(text)
        except ValidationError as error:
            raise TwintrainError(
                explained(error, SpanRecord, f"The record {path}"),
                "If a newer Twintrain wrote it, use that one; otherwise move the file away and run "
                "that span again.",
            ) from error
        except Exception as error:
            raise TwintrainError(
                f"The record {path} cannot be read: {error}.", "Check its rights."
            ) from error
        if was_changed(text):
            raise TwintrainError(
                f"The record {path} was changed after it was written.",
                "Move the file away and run that span again.",
            )
        return record.model_copy(update={"digest": ""})
