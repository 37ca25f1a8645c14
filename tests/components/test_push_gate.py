from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.push_gate import correct_of, last_pushed
from twintrain.errors import TwintrainError


class Threes(tf.Module):
    """Says 3 of every image, which must have as many bytes as it was made for."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"image": tf.io.FixedLenFeature([], tf.string)}
        pixels = tf.io.decode_raw(tf.io.parse_example(examples, spec)["image"], tf.uint8)
        pixels = tf.reshape(pixels, [-1, self.size])
        return {"probabilities": tf.one_hot(tf.fill([tf.shape(pixels)[0]], 3), 10)}


def export(folder: Path, size: int) -> Path:
    model = Threes(size)
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    return folder


@pytest.fixture
def examples(tmp_path: Path) -> str:
    path = str(tmp_path / "examples.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for number in (2, 1, 0):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes(16)])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number + 2])),
                "example_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"eval-%d" % number])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return path


def test_the_twin_pushed_last_answers_in_the_order_of_the_ids(tmp_path: Path, examples: str) -> None:
    for version in ("9", "10", "notes"):
        export(tmp_path / "pushed" / version, 16)
    newest = last_pushed(tmp_path / "pushed")
    assert newest == tmp_path / "pushed" / "10"
    np.testing.assert_array_equal(correct_of(newest, (examples,)), [False, True, False])


def test_a_twin_pushed_for_other_images_is_said(tmp_path: Path, examples: str) -> None:
    with pytest.raises(TwintrainError, match="does not take these examples") as refused:
        correct_of(export(tmp_path / "1", 49), (examples,))
    assert "--root" in refused.value.remedy
