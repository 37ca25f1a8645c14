"""The vocabularies of many columns in one pass over the data.

`tft.vocabulary` is two dozen Beam stages for each column, and Beam's local runner takes time with
the square of their number: 50 categories took three minutes, whatever the rows. This analyzer is as
many stages as one such vocabulary for all of them. Its files and codes are those of
`tft.vocabulary`: the most frequent value first, of equally frequent ones the last by its bytes;
empty values and those with a line's end are left out.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import beam as tft_beam

# What stands in a file without values, which no table can be made of.
_NO_VALUE = b"there was no value"
_LINE_ENDS = (b"\n", b"\r")

Place = int
Counted = tuple[tuple[Place, bytes], int]


def apply_vocabularies(names: Sequence[str], columns: tf.Tensor) -> dict[str, tf.Tensor]:
    """The places of values in the vocabularies of their columns.

    Args:
        names: of the columns, at least one.
        columns: texts, [batch, columns].

    Returns:
        int64, [batch] each, by name; values that the analyzed data had not, and empty ones, have
        one further code.
    """
    files = tft.experimental.ptransform_analyzer(
        inputs=[columns],
        ptransform=Vocabularies(names),
        output_dtypes=[tf.string] * len(names),
        output_shapes=[[]] * len(names),
        output_asset_default_values=[_NO_VALUE] * len(names),
    )
    return {
        name: tft.apply_vocabulary(column, file, num_oov_buckets=1)
        for name, column, file in zip(names, tf.unstack(columns, axis=1), files, strict=True)
    }


class Vocabularies(tft_beam.experimental.PTransformAnalyzer):
    """Writes a vocabulary file per column.

    Args:
        names: of the columns, in their order; files are named after them.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = list(names)

    def expand(self, batches: beam.PCollection) -> tuple[beam.PCollection, ...]:
        """Paths, one per column.

        Args:
            batches: tuples of one array of bytes, [rows, columns].
        """
        places = [str(place) for place in range(len(self._names))]
        files = [
            os.path.join(self.base_temp_dir, f"{place}_{re.sub('[^A-Za-z0-9]', '_', name)}")
            for place, name in zip(places, self._names, strict=True)
        ]
        written = (
            batches
            | "CountInBatch" >> beam.FlatMap(_counted)
            | "Add" >> beam.CombinePerKey(sum)
            | "ByColumn" >> beam.MapTuple(lambda key, count: (key[0], (count, key[1])))
            | "Gather" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_Write(files)).with_outputs(*places)
        )
        return tuple(written[place] for place in places)


def _counted(batch: tuple[np.ndarray]) -> Iterator[Counted]:
    """How often each value is there; every column with at least the empty one, so that it gets a
    file.
    """
    (rows,) = batch
    for place in range(rows.shape[1]):
        yield (place, b""), 0
        values, counts = np.unique(rows[:, place].astype(object), return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            yield (place, value), count


class _Write(beam.DoFn):
    """Writes a column's values to its file, and yields that under the column's tag."""

    def __init__(self, files: Sequence[str]) -> None:
        super().__init__()
        self._files = list(files)

    def process(
        self, column: tuple[Place, Iterable[tuple[int, bytes]]]
    ) -> Iterator[beam.pvalue.TaggedOutput]:
        place, counted = column
        kept = sorted((one for one in counted if _is_kept(one[1])), reverse=True)
        lines = [value for _, value in kept] or [_NO_VALUE]
        tf.io.gfile.makedirs(os.path.dirname(self._files[place]))
        # Another attempt at the same work may read what this one has written.
        unfinished = f"{self._files[place]}.{uuid.uuid4().hex}"
        with tf.io.gfile.GFile(unfinished, "wb") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        tf.io.gfile.rename(unfinished, self._files[place], overwrite=True)
        yield beam.pvalue.TaggedOutput(str(place), np.array(self._files[place]))


def _is_kept(value: bytes) -> bool:
    return value != b"" and not any(end in value for end in _LINE_ENDS)
