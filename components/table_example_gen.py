"""TableExampleGen: tables in files (CSV, Parquet, Avro, TFRecords, queries of databases) become
tf.Examples of their columns and `example_id`.

A standard file-based ExampleGen, so TFX's driver numbers the span and fingerprints the files. The
rows are read by pyarrow and not by TFX's own executors: these guess a column's type anew from each
span, number no rows, and say of a bad cell neither row nor column. Types are the schema's here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2
from tfx.components.example_gen import component, input_processor, utils
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import Artifact, artifact_utils
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils

from twintrain.data.example_spec import EXAMPLE_ID
from twintrain.data.table_files import TableFiles, find_tables
from twintrain.data.table_queries import ENDING as QUERY
from twintrain.data.table_records import is_records
from twintrain.data.table_unreadable import UnreadableRow, readable_part, shown
from twintrain.data.tables import RowIds, is_table, read_table
from twintrain.errors import TwintrainError
from twintrain.processes.digests import file_digest, files_digest
from twintrain.processes.progress import report_progress

# Of ten rows, those that go to 'eval' where the files are of no split.
EVAL, OF = 2, 10
UNREADABLE = "unreadable"  # begins the name of the list of rows that were left out
_PLACE = "examples_uri"
Settings = dict[str, Any]


class TableExampleGenExecutor(BaseExampleGenExecutor):
    """Reads tables with Beam."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Write the examples, and beside them the rows that were left out."""
        place = artifact_utils.get_single_uri(output_dict[specs.EXAMPLES_KEY])
        super().Do(input_dict, output_dict, exec_properties | {_PLACE: place})
        left_out = rows_left_out(place)
        if left_out:
            text = f"{len(left_out):,} rows cannot be read and are left out: {shown(left_out)}."
            report_progress("note", text=text)

    def GetInputSourceToExamplePTransform(self) -> Any:  # noqa: N802 - TFX's name
        """What TFX's own `GenerateExamplesByBeam` would ask for, which is replaced below: a row's
        id decides about its split, so that both are done in one reading.
        """
        raise NotImplementedError("TableExampleGen reads and splits in GenerateExamplesByBeam")

    def GenerateExamplesByBeam(  # noqa: N802 - TFX's name
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, beam.PCollection]:
        """Serialized examples, by split."""
        given = example_gen_pb2.Input()
        proto_utils.json_to_proto(exec_properties[specs.INPUT_CONFIG_KEY], given)
        output = example_gen_pb2.Output()
        proto_utils.json_to_proto(exec_properties[specs.OUTPUT_CONFIG_KEY], output)
        names = utils.generate_output_split_names(given, output)
        settings = _settings(exec_properties)
        base = Path(exec_properties[specs.INPUT_BASE_KEY])
        files = {
            part.name: sorted(str(path) for path in base.glob(part.pattern) if is_table(path))
            for part in given.splits
        }
        shared = len(given.splits) == 1 and len(names) > 1
        work = [
            _Work(name if not shared else "", tuple(paths), _limit(settings, files, name))
            for name, paths in files.items()
        ]
        # No shuffle here: TFX makes one of every split before it is written.
        rows = (
            pipeline
            | "Files" >> beam.Create(work)
            | "Read" >> beam.FlatMap(_tagged, settings).with_outputs(*names, UNREADABLE)
        )
        if _PLACE in exec_properties and settings["unreadable"]:
            at = f"{exec_properties[_PLACE]}/{UNREADABLE}"
            # One file: there are few.
            rows[UNREADABLE] | "List" >> beam.io.WriteToText(at, ".jsonl", num_shards=1)
        return {name: rows[name] for name in names}


def rows_left_out(uri: str) -> list[UnreadableRow]:
    """The rows that an Examples artifact was made without."""
    lines = [
        line
        for file in sorted(Path(uri).glob(f"{UNREADABLE}*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    found = [UnreadableRow(**json.loads(line)) for line in lines]
    return sorted(found, key=lambda row: (row.file, row.line))


@dataclass(frozen=True)
class _Work:
    """What one worker reads.

    Attributes:
        split: all rows go to; empty where each row's id decides.
        files: to read, in order.
        limit: rows to keep; None for all.
    """

    split: str
    files: tuple[str, ...]
    limit: int | None


class TableExampleGen(component.FileBasedExampleGen):
    """Ingests the tables of a directory, or of its newest complete `span-N` sub-directory.

    Files called train* and test* (or eval*) are the splits; where there are none such, two rows of
    ten are held out by their ids, so that a row stays where it is however the table grows.

    Args:
        data: the directory, or one file.
        types: per column, 'INT', 'FLOAT' or 'BYTES'.
        key: a column that names each row; None to go by what they hold.
        limit: keep a sample of about this many rows over all splits.
        span: take this span; only for a directory of spans.
        code: not read; it keeps examples made by other code from being taken for this one's.
        unreadable: share of a CSV file's lines that may be left out because they cannot be read.
        look: whether the data can be looked at here; without, no span and no splits are found.

    Raises:
        TwintrainError: there are no tables.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(TableExampleGenExecutor)

    def __init__(
        self,
        data: Path,
        types: dict[str, str],
        key: str | None = None,
        limit: int | None = None,
        span: int | None = None,
        code: str = "",
        unreadable: float = 0.0,
        look: bool = True,
    ) -> None:
        found = find_tables(data, span) if look else None
        settings = struct_pb2.Struct()
        settings.update({"types": types, "key": key, "limit": limit, "code": code})
        if unreadable:  # without it what was read before is found again
            settings.update({"unreadable": unreadable})
        if found is not None:
            # TFX knows files by their sizes and times of change alone, and would take what was made
            # of others for theirs.
            settings.update({"content": _content(found)})
        custom = example_gen_pb2.CustomConfig()
        custom.custom_config.Pack(settings)
        super().__init__(
            input_base=str(data if found is None else found.base),
            input_config=_input_config(found) if found else None,
            output_config=_output_config(found) if found else None,
            range_config=None if found is None or found.span is None else _only(found.span),
            custom_config=custom,
        )


def _content(found: TableFiles) -> str:
    """SHA-256 over all that the rows come from, which may lie elsewhere."""
    files = found.files()
    beside = [file_digest(one) for one in found.sources() if one not in files]
    own = files_digest(files, found.folder)
    return hashlib.sha256(" ".join([own, *beside]).encode()).hexdigest() if beside else own


def _input_config(found: TableFiles) -> example_gen_pb2.Input:
    splits = [
        example_gen_pb2.Input.Split(name=name, pattern=pattern)
        for name, pattern in found.patterns.items()
    ]
    return example_gen_pb2.Input(splits=splits)


def _output_config(found: TableFiles) -> example_gen_pb2.Output | None:
    if found.given:
        return None
    split = example_gen_pb2.SplitConfig.Split
    config = example_gen_pb2.SplitConfig(
        splits=[
            split(name="train", hash_buckets=OF - EVAL),
            split(name="eval", hash_buckets=EVAL),
        ]
    )
    return example_gen_pb2.Output(split_config=config)


def fingerprint(data: Path, span: int | None) -> str:
    """What TFX's driver will know the files of a span by: their number, sizes and times of change;
    and, of databases that they ask, size and time.

    Raises:
        TwintrainError: there are no such files.
    """
    found = find_tables(data, span)
    processor = input_processor.FileBasedInputProcessor(
        str(found.base),
        _input_config(found).splits,
        None if found.span is None else _only(found.span),
    )
    number, version = processor.resolve_span_and_version()
    known = str(processor.get_input_fingerprint(number, version))
    files = found.files()
    for one in found.sources():
        if one not in files:
            state = one.stat()
            known += f",{one.name}:{state.st_size}:{state.st_mtime_ns}"
    return known


def _only(span: int) -> range_config_pb2.RangeConfig:
    return range_config_pb2.RangeConfig(
        static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    )


def _settings(exec_properties: dict[str, Any]) -> Settings:
    config = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(exec_properties[specs.CUSTOM_CONFIG_KEY], config)
    settings = struct_pb2.Struct()
    config.custom_config.Unpack(settings)
    limit = settings["limit"]
    return {
        # A protobuf map is in no order.
        "types": {name: settings["types"][name] for name in sorted(settings["types"])},
        "key": settings["key"],
        "limit": None if limit is None else int(limit),
        "unreadable": dict(settings).get("unreadable", 0.0),
    }


def _limit(settings: Settings, files: dict[str, list[str]], name: str) -> int | None:
    """A split's part of the limit, by how large its files are; of queries, by their rows."""
    limit: int | None = settings["limit"]
    if limit is None or len(files) == 1:
        return limit
    sizes = {
        split: sum(_size(Path(path), settings["types"]) for path in paths)
        for split, paths in files.items()
    }
    return max(1, round(limit * sizes[name] / max(1, sum(sizes.values()))))


def _size(path: Path, types: dict[str, str]) -> int:
    if not path.name.lower().endswith(QUERY):
        return path.stat().st_size
    return sum(len(batch) for batch in read_table(path, types))


def _tagged(work: _Work, settings: Settings) -> Iterator[beam.pvalue.TaggedOutput]:
    left_out: list[UnreadableRow] = []
    for split, example in _read(work, settings, left_out):
        yield beam.pvalue.TaggedOutput(split, example)
    for row in left_out:
        yield beam.pvalue.TaggedOutput(UNREADABLE, json.dumps(asdict(row)))


def _read(
    work: _Work, settings: Settings, left_out: list[UnreadableRow]
) -> Iterator[tuple[str, bytes]]:
    """The rows of some files: (split, serialized example); `left_out` takes those that cannot be
    read.
    """
    from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

    encoder = RecordBatchToExamplesEncoder(None)
    bound = _bound(work, settings)
    rows = RowIds(settings["key"])
    for batch in _batches(work, settings, left_out):
        ids, numbers = rows.of(batch)
        kept = np.nonzero(numbers <= bound)[0]
        if not len(kept):
            continue
        encoded = encoder.encode(_lists(batch, ids).take(kept))
        for number, example in zip(numbers[kept], encoded, strict=True):
            held_out = "eval" if int(number) % OF < EVAL else "train"
            yield work.split or held_out, example


def _batches(work: _Work, settings: Settings, left_out: list[UnreadableRow]) -> Iterator[Any]:
    types, empty = settings["types"], set(settings["types"])
    for file in work.files:
        for batch in _readable(Path(file), types, settings["unreadable"], left_out):
            empty -= {name for name in empty if batch.column(name).null_count < len(batch)}
            if settings["key"] is not None and batch.column(settings["key"]).null_count:
                raise TwintrainError(
                    f"{file} has rows without {settings['key']!r}, which is to name them.",
                    "Give each one, or leave KEY out of the problem's file.",
                )
            yield batch
    # A file of examples does not have to have a feature that others have; all of them do.
    if empty and all(is_records(Path(file)) for file in work.files):
        raise TwintrainError(
            f"No example of {', '.join(work.files[:3])} has a value of {min(empty)!r}.",
            "Correct the name in the problem's file and the schema, or the data.",
        )


def _readable(
    file: Path, types: dict[str, str], share: float, left_out: list[UnreadableRow]
) -> Iterator[Any]:
    with readable_part(file, types, share, left_out) as part:
        try:
            yield from read_table(part, types)
        except TwintrainError as error:
            raise TwintrainError(
                error.problem.replace(str(part), str(file)), error.remedy
            ) from error


def _bound(work: _Work, settings: Settings) -> np.uint64:
    """The largest number a row of the sample has."""
    everything = np.uint64(2**64 - 1)
    if work.limit is None:
        return everything
    found: list[npt.NDArray[np.uint64]] = [
        RowIds(settings["key"]).of(batch)[1] for batch in _batches(work, settings, [])
    ]
    numbers = np.concatenate(found) if found else np.empty(0, np.uint64)
    if len(numbers) <= work.limit:
        return everything
    # The last digit decides about the split: the sample must not.
    return np.uint64(np.partition(numbers, work.limit - 1)[work.limit - 1])


def _lists(batch: Any, ids: list[str]) -> Any:
    """A record batch as the encoder wants it: a list of one value per cell, null where there is
    none.
    """
    import pyarrow as pa

    columns = [*(_list_of(column) for column in batch.columns), _list_of(pa.array(ids))]
    return pa.RecordBatch.from_arrays(columns, [*batch.schema.names, EXAMPLE_ID])


def _list_of(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    there = np.asarray(column.is_valid())
    ends = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    mask = pa.array(~there)
    return pa.ListArray.from_arrays(pa.array(ends), column.drop_null(), mask=mask)
