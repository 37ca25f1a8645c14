"""IdxExampleGen: IDX pairs become tf.Examples of `image` (bytes), `label` and `example_id`.

A standard file-based ExampleGen, so TFX's driver numbers the span and fingerprints the files; which
span is taken and the reading are ours. The work is cut into ranges of images that workers read and
encode side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from google.protobuf import struct_pb2
from tfx.components.example_gen import component, input_processor
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils

from twintrain.data import idx
from twintrain.data.spans import choose_span, span_folder, span_pattern
from twintrain.data.stratified import stratified_sample
from twintrain.errors import TwintrainError
from twintrain.processes.digests import files_digest

# images per piece of work: a few seconds of encoding, and few enough re-reads of a gzip's beginning
RANGE = 5000


class IdxExampleGenExecutor(BaseExampleGenExecutor):
    """Reads IDX pairs with Beam."""

    def GetInputSourceToExamplePTransform(self) -> Any:  # noqa: N802 - TFX's name
        """The transform from a file pattern to tf.Examples."""
        return _read_split


class IdxExampleGen(component.FileBasedExampleGen):
    """Ingests a directory of IDX pairs, or its newest complete `span-N` sub-directory.

    Args:
        data: the directory.
        image_shape: (height, width, channels) the recipe expects.
        limit: keep a stratified sample of this many examples over all splits.
        span: take this span instead of the newest; only for a directory of spans.
        code: not read; it keeps examples made by other code from being taken for this one's.
        look: whether the data can be looked at here; without, nothing is checked and no span is
            chosen.

    Raises:
        TwintrainError: `span` is asked for and not there or not complete, or no span is complete.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(IdxExampleGenExecutor)

    def __init__(
        self,
        data: Path,
        image_shape: tuple[int, int, int],
        limit: int | None = None,
        span: int | None = None,
        code: str = "",
        look: bool = True,
    ) -> None:
        chosen = choose_span(data, span)[0] if look else None
        settings = struct_pb2.Struct()
        settings.update({"image_shape": list(image_shape), "limit": limit, "code": code})
        if look:
            settings.update({"content": _content(data, chosen)})
        custom = example_gen_pb2.CustomConfig()
        custom.custom_config.Pack(settings)
        super().__init__(
            input_base=str(data),
            input_config=_input_config(data, chosen),
            range_config=None if chosen is None else _only(chosen),
            custom_config=custom,
        )


def _input_config(data: Path, span: int | None) -> example_gen_pb2.Input:
    folder = "" if span is None else span_pattern(data, span) + "/"
    return example_gen_pb2.Input(
        splits=[
            # Images and labels both: the fingerprint that decides about caching must cover the two.
            example_gen_pb2.Input.Split(name=split, pattern=f"{folder}{prefix}-*")
            for split, prefix in idx.SPLIT_PREFIXES.items()
        ]
    )


def _content(data: Path, span: int | None) -> str:
    """A digest of the files: TFX knows them by their sizes and times of change alone, and would
    take what was made of others for theirs.
    """
    folder = span_folder(data, span)
    pairs = [idx.find_pair(folder, split) for split in idx.SPLIT_PREFIXES]
    return files_digest((path for pair in pairs for path in (pair.images, pair.labels)), folder)


def fingerprint(data: Path, span: int | None) -> str:
    """What TFX's driver will know the files of a span by: their number, sizes and times of change.

    Raises:
        TwintrainError: there are no such files.
    """
    for split in idx.SPLIT_PREFIXES:
        idx.find_pair(span_folder(data, span), split)
    splits = _input_config(data, span).splits
    processor = input_processor.FileBasedInputProcessor(
        str(data), splits, None if span is None else _only(span)
    )
    number, version = processor.resolve_span_and_version()
    return str(processor.get_input_fingerprint(number, version))


def _only(span: int) -> range_config_pb2.RangeConfig:
    return range_config_pb2.RangeConfig(
        static_range=range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    )


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(tf.train.Example)
def _read_split(
    pipeline: beam.Pipeline, exec_properties: dict[str, Any], split_pattern: str
) -> beam.PCollection:
    folder = (Path(exec_properties[specs.INPUT_BASE_KEY]) / split_pattern).parent
    split = next(
        name
        for name, prefix in idx.SPLIT_PREFIXES.items()
        if Path(split_pattern).name.startswith(prefix)
    )
    image_shape, limit = _settings(exec_properties)
    pairs = {name: idx.find_pair(folder, name) for name in idx.SPLIT_PREFIXES}
    summary = idx.inspect_pair(pairs[split])
    if summary.shape != image_shape:
        raise TwintrainError(
            f"{pairs[split].images} holds images of {' x '.join(map(str, summary.shape))}, the "
            "recipe expects "
            f"{' x '.join(map(str, image_shape))} (height, width, channels).",
            f"Use --set data.image_shape=[{','.join(map(str, summary.shape))}]",
        )
    sizes = {name: len(idx.read_labels(pair.labels)) for name, pair in pairs.items()}
    keep = idx.split_limits(limit, sizes)[split]
    chosen = stratified_sample(idx.read_labels(pairs[split].labels), keep)
    pieces = [chosen[start : start + RANGE].tolist() for start in range(0, len(chosen), RANGE)]
    return (
        pipeline
        | "Ranges" >> beam.Create(pieces)
        | "SpreadWork" >> beam.Reshuffle()
        | "ReadAndEncode" >> beam.FlatMap(_read_piece, pairs[split])
    )


def _settings(exec_properties: dict[str, Any]) -> tuple[tuple[int, int, int], int | None]:
    config = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(exec_properties[specs.CUSTOM_CONFIG_KEY], config)
    settings = struct_pb2.Struct()
    config.custom_config.Unpack(settings)
    height, width, channels = (int(size) for size in settings["image_shape"])
    limit = settings["limit"]
    return (height, width, channels), None if limit is None else int(limit)


def _read_piece(positions: list[int], pair: idx.IdxPair) -> Iterator[tf.train.Example]:
    labels = idx.read_labels(pair.labels)
    wanted = set(positions)
    first, last = positions[0], positions[-1] + 1
    for position, image in zip(
        range(first, last), idx.read_images(pair.images, first, last), strict=True
    ):
        if position in wanted:
            yield encode(f"{pair.split}-{position:08d}", image, int(labels[position]))


def encode(example_id: str, image: bytes, label: int) -> tf.train.Example:
    """One example as the schema has it: image (raw bytes, row by row), label, example_id."""
    feature = tf.train.Feature
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                "image": feature(bytes_list=tf.train.BytesList(value=[image])),
                "label": feature(int64_list=tf.train.Int64List(value=[label])),
                "example_id": feature(bytes_list=tf.train.BytesList(value=[example_id.encode()])),
            }
        )
    )
