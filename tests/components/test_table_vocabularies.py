"""The vocabularies of many columns at once are those that `tft.vocabulary` makes of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tfx  # noqa: F401 - TFX before TFT, see pipelines/config.py

from components.table_vocabularies import apply_vocabularies

import tensorflow_transform as tft  # isort: skip
import tensorflow_transform.beam as tft_beam  # isort: skip
from tensorflow_transform.tf_metadata import dataset_metadata  # isort: skip

COLUMNS = {
    # By frequency; two of the same, the last first; what no file holds.
    "town": [b"Ulm", b"Bern", b"Bern", b"", b"Graz", b"two\nlines", b"Ulm", b"Rom"],
    "a/b c": ["grün".encode(), b"red", b"red", b" ", b"  ", b"red ", b"Red", "grün".encode()],
    "nothing": [b""] * 8,
    "never written": [b"\r"] * 8,
    "one": [b"1"] * 8,
}
UNSEEN = dict.fromkeys(COLUMNS, b"Oslo")


@pytest.mark.in_turn(3)
def test_codes_are_those_of_tft_vocabulary(tmp_path: Path) -> None:
    names = {f"c{place}": name for place, name in enumerate(COLUMNS)}
    rows = [{key: COLUMNS[name][n] for key, name in names.items()} for n in range(8)]
    spec = {key: tf.io.FixedLenFeature([], tf.string) for key in names}
    raw = dataset_metadata.DatasetMetadata.from_feature_spec(spec)

    def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        columns = tf.stack([inputs[key] for key in names], axis=1)
        together = apply_vocabularies(list(COLUMNS), columns)
        alone = {
            f"{key} alone": tft.compute_and_apply_vocabulary(column, num_oov_buckets=1)
            for key, column in inputs.items()
        }
        return {**{key: together[name] for key, name in names.items()}, **alone}

    with tft_beam.Context(temp_dir=str(tmp_path / "tmp")):
        (made, _), graph = (rows, raw) | tft_beam.AnalyzeAndTransformDataset(preprocessing_fn)
        graph | tft_beam.WriteTransformFn(str(tmp_path / "graph"))
    # As a pushed model reads them: from the graph that was written, its files beside it.
    written = tft.TFTransformOutput(str(tmp_path / "graph"))
    batch = {
        key: tf.constant([row[key] for row in rows] + [UNSEEN[name]]) for key, name in names.items()
    }
    served = written.transform_features_layer()(batch)
    ranges = written.transformed_metadata.schema.feature
    sizes = {feature.name: feature.int_domain.max for feature in ranges}
    for key in names:
        codes = served[key].numpy()
        assert np.array_equal(codes[:-1], [row[key] for row in made])
        assert np.array_equal(codes, served[f"{key} alone"].numpy())
        assert sizes[key] == sizes[f"{key} alone"] >= codes.max()
    assert served["c0"].numpy().tolist() == [0, 1, 1, 4, 3, 4, 0, 2, 4]
