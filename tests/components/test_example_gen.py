from __future__ import annotations

import os
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.utils import proto_utils

from components.example_gen import IdxExampleGen, IdxExampleGenExecutor, _read_split, fingerprint
from tests.conftest import write_idx
from twintrain.data import idx
from twintrain.errors import TwintrainError


def properties(component: IdxExampleGen) -> dict[str, str]:
    """What TFX would hand to the executor."""
    found = dict(component.exec_properties)
    return {key: found[key] for key in ("input_base", "custom_config", "input_config")}


def patterns(component: IdxExampleGen) -> list[str]:
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(component.exec_properties["input_config"], config)
    return [split.pattern for split in config.splits]


def read(folder: Path, split: str, pattern: str, **settings: object) -> list[tf.train.Example]:
    """Run the Beam transform of one split and return its examples in order of their ids."""
    component = IdxExampleGen(folder, settings.pop("image_shape", (28, 28, 1)), **settings)  # type: ignore[arg-type]
    target = str(folder / "written" / split)
    with beam.Pipeline() as pipeline:
        examples = pipeline | _read_split(
            exec_properties=properties(component), split_pattern=pattern
        )
        _ = examples | beam.io.WriteToTFRecord(
            target, coder=beam.coders.ProtoCoder(tf.train.Example)
        )
    files = tf.io.gfile.glob(f"{target}-*")
    seen = [
        tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(files)
    ]
    return sorted(
        seen, key=lambda example: example.features.feature["example_id"].bytes_list.value[0]
    )


def test_every_image_comes_through_with_its_label_and_id(idx_folder: Path) -> None:
    examples = read(idx_folder, "train", "train-*")
    pair = idx.find_pair(idx_folder, "train")
    assert [e.features.feature["image"].bytes_list.value[0] for e in examples] == list(
        idx.read_images(pair.images, 0, 60)
    )
    assert [e.features.feature["label"].int64_list.value[0] for e in examples] == idx.read_labels(
        pair.labels
    ).tolist()
    assert examples[7].features.feature["example_id"].bytes_list.value[0] == b"train-00000007"


def test_colour_comes_through(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 4, 3), np.uint8)
    for prefix in ("train", "t10k"):
        (tmp_path / f"{prefix}-images").write_bytes(idx.header(pixels.shape) + pixels.tobytes())
        (tmp_path / f"{prefix}-labels").write_bytes(idx.header((9,)) + bytes(range(9)))
    examples = read(tmp_path, "train", "train-*", image_shape=(5, 4, 3))
    assert [e.features.feature["image"].bytes_list.value[0] for e in examples] == [
        image.tobytes() for image in pixels
    ]
    with pytest.raises(
        TwintrainError, match=r"5 x 4 x 3, the recipe expects 5 x 4 x 1 .*\n.*image_shape=\[5,4,3\]"
    ):
        read(tmp_path, "train", "train-*", image_shape=(5, 4, 1))


def test_the_limit_is_shared_out_and_stratified(idx_folder: Path) -> None:
    assert len(read(idx_folder, "train", "train-*", limit=45)) == 30
    assert len(read(idx_folder, "eval", "t10k-*", limit=45)) == 15


def span_of(ingest: IdxExampleGen) -> int:
    """The only span it may take."""
    chosen = range_config_pb2.RangeConfig()
    proto_utils.json_to_proto(ingest.exec_properties["range_config"], chosen)
    assert chosen.static_range.start_span_number == chosen.static_range.end_span_number
    return chosen.static_range.start_span_number


def test_spans_are_found_and_the_newest_is_taken_by_pattern(tmp_path: Path) -> None:
    for span in (1, 2):
        (tmp_path / f"span-{span}").mkdir()
        write_idx(tmp_path / f"span-{span}", {"train": 40, "eval": 20}, start=100 * span)
    by_span = ["span-{SPAN}/train-*", "span-{SPAN}/t10k-*"]
    assert (patterns(newest := IdxExampleGen(tmp_path, (28, 28, 1))), span_of(newest)) == (
        by_span,
        2,
    )
    assert (patterns(first := IdxExampleGen(tmp_path, (28, 28, 1), span=1)), span_of(first)) == (
        by_span,
        1,
    )
    examples = read(tmp_path, "eval", "span-2/t10k-*")
    pair = idx.find_pair(tmp_path / "span-2", "eval")
    assert [e.features.feature["label"].int64_list.value[0] for e in examples] == idx.read_labels(
        pair.labels
    ).tolist()


def test_a_span_that_is_not_there_or_not_whole_is_named(tmp_path: Path, idx_folder: Path) -> None:
    with pytest.raises(TwintrainError, match="no span-N directories"):
        IdxExampleGen(idx_folder, (28, 28, 1), span=3)
    (tmp_path / "span-01").mkdir()
    write_idx(tmp_path / "span-01", {"train": 40, "eval": 20})
    assert patterns(IdxExampleGen(tmp_path, (28, 28, 1), span=1))[0] == "span-{SPAN:2}/train-*"
    with pytest.raises(TwintrainError, match="has no span 2"):
        IdxExampleGen(tmp_path, (28, 28, 1), span=2)
    (tmp_path / "span-02").mkdir()
    with pytest.raises(
        TwintrainError, match=r"Span 2 is not complete: No file train-images\* in .*span-02"
    ):
        IdxExampleGen(tmp_path, (28, 28, 1), span=2)
    assert span_of(IdxExampleGen(tmp_path, (28, 28, 1))) == 1  # the newest that is complete


def test_wrong_shape_and_damage_stop_before_anything_is_read(idx_folder: Path) -> None:
    with pytest.raises(
        TwintrainError, match="images of 28 x 28 x 1, the recipe expects 32 x 32 x 1"
    ):
        read(idx_folder, "train", "train-*", image_shape=(32, 32, 1))
    (idx_folder / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b" + b"nonsense" * 10)
    with pytest.raises(TwintrainError, match=r"train-images-idx3-ubyte\.gz is a corrupt gzip file"):
        read(idx_folder, "train", "train-*")


def test_the_component_uses_this_executor() -> None:
    assert IdxExampleGen.EXECUTOR_SPEC.executor_class is IdxExampleGenExecutor


def test_labels_that_were_replaced_count_although_size_and_time_stay(idx_folder: Path) -> None:
    """The cache goes by what an ExampleGen is told; TFX's own fingerprint stays as it was."""
    pair = idx.find_pair(idx_folder, "train")
    plain = idx_folder / "train-labels-idx1-ubyte"
    held = idx.header((60,)) + bytes(idx.read_labels(pair.labels).tolist())
    pair.labels.unlink()
    plain.write_bytes(held)
    before, time = properties(IdxExampleGen(idx_folder, (28, 28, 1))), plain.stat().st_mtime_ns
    known = fingerprint(idx_folder, None)
    assert properties(IdxExampleGen(idx_folder, (28, 28, 1))) == before
    plain.write_bytes(held[:-1] + bytes([(held[-1] + 1) % 10]))
    os.utime(plain, ns=(time, time))
    assert fingerprint(idx_folder, None) == known
    assert properties(IdxExampleGen(idx_folder, (28, 28, 1))) != before
