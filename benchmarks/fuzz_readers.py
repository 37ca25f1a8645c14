"""The readers of the product, each with inputs that are nearly right."""

from __future__ import annotations

import csv
import functools
import importlib
import io
import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks import corruption

REPOSITORY = Path(__file__).resolve().parent.parent
COLUMNS = ("image", "label", "example_id")
RECIPE = """\
extends: standard
name: photos
data: {image_shape: [32, 32, 3], limit: 600}
optimizer:
  name: adam
  learning_rate: 0.002
training:
  epochs: 3
  batch_size: 64
comparison:
  label_names: [cat, dog]
seeds: [0, 1]
loop:
  training.shuffle: false
"""
SCRIPT = """\
import keras
import tensorflow as tf

model = keras.Sequential([keras.layers.Dense(1)])
model.compile(optimizer="sgd", loss="mse")
model.fit(x, y, epochs=1)
with tf.GradientTape() as tape:
    loss = keras.losses.MeanSquaredError()(y, model(x, training=True))
"""
TABLE = """town,age,when,said,late
Bern,1.5,2024-01-01,"some words, and more",no
Ulm,,2024-01-02,NA,yes
"Köln, am Rhein",-3e2,2024-01-03,"a ""quoted"" word",no
"""
SQL = "-- database: town.sqlite\nSELECT town, age, late FROM rows WHERE age IS NULL OR age < 9\n"
PROBLEM = """TASK = "binary"
LABEL = "late"
METRIC = "auc"
CATEGORIES = ("town",)
TEXT = ("said",)
IGNORE = ("when",)
SLICES = (("town",), ("age", "late"))
LENGTH = 12


def hyperparameters(hp):
    return {"regularization.l2": hp.Choice("l2", [0.0, 0.1])}
"""
NOTEBOOK = {
    "nbformat": 4,
    "metadata": {"kernelspec": {"language": "python"}},
    "cells": [
        {"cell_type": "markdown", "source": ["# title"]},
        {"cell_type": "code", "source": ["%time\n", "import keras\n", "model.fit(x, y)\n"]},
        {"cell_type": "code", "source": "with tf.GradientTape() as tape:\n    pass"},
    ],
}


@dataclass(frozen=True)
class Reader:
    """How one kind of input is made and read.

    Attributes:
        file: name of the file it reads.
        right: an input that is taken.
        make: one that is nearly right.
        read: takes the file in as the product does.
    """

    file: str
    right: Callable[[], bytes]
    make: Callable[[Random], bytes]
    read: Callable[[Path], object]


def readers() -> dict[str, Reader]:
    """Every reader by name."""
    return {
        "idx": _of_bytes("train-images-idx3-ubyte", _idx, _read_idx),
        "image": _of_bytes("image.png", _image, _read_image),
        "npz": Reader("data.npz", _npz, corruption.odd_npz, _read_npz),
        "parquet": Reader("data.parquet", _parquet, corruption.odd_parquet, _read_parquet),
        "csv": _of_text("rows.csv", TABLE, _read_table),
        "avro": _of_bytes("rows.avro", _avro, _read_table),
        "tfrecord": _of_bytes("rows.tfrecord", _tfrecord, _read_table),
        "sql": _of_text("rows.sql", SQL, _read_query),
        "sqlite": _of_bytes("rows.sqlite", _sqlite, _read_database),
        "recipe": _of_text("recipe.yaml", RECIPE, _read_recipe),
        "--set": Reader("override.txt", lambda: b"training.epochs=3", _override, _read_override),
        "schema": _of_text("schema.pbtxt", _bundled("data/schema.pbtxt"), _read_schema),
        "cluster": _of_text("cluster.yaml", _bundled("kubeflow/cluster.yaml"), _read_cluster),
        "schedule": _of_text("schedule.yaml", _bundled("kubeflow/schedule.yaml"), _read_schedule),
        "record": _of_json("record.json", _record(), _read_record),
        "comparison": _of_json(
            "comparison.json", json.loads(_bundled("docs/example/comparison.json")), _read_report
        ),
        "notebook": _of_json("notebook.ipynb", NOTEBOOK, _read_code),
        "problem": _of_text("stated.py", PROBLEM, _read_problem),
        "script": _of_text("script.py", SCRIPT, _read_code),
    }


def _bundled(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def _of_bytes(file: str, right: Callable[[], bytes], read: Callable[[Path], object]) -> Reader:
    return Reader(file, right, lambda random: corruption.corrupted(right(), random), read)


def _of_text(file: str, right: str, read: Callable[[Path], object]) -> Reader:
    return Reader(file, right.encode, lambda random: corruption.odd_text(right, random), read)


def _of_json(file: str, right: Any, read: Callable[[Path], object]) -> Reader:
    return Reader(
        file,
        lambda: json.dumps(right).encode(),
        lambda random: corruption.odd_json(right, random),
        read,
    )


def _idx() -> bytes:
    from twintrain.data import idx

    return idx.header((4, 3, 3)) + bytes(range(36))


def _read_idx(path: Path) -> object:
    from twintrain.data import idx

    labels = path.with_name("train-labels-idx1-ubyte")
    labels.write_bytes(idx.header((4,)) + bytes((0, 1, 0, 1)))
    summary = idx.inspect_pair(idx.IdxPair("train", path, labels))
    return [*idx.read_images(path, 0, summary.count)], idx.read_labels(labels)


def _image() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, "PNG")
    return file.getvalue()


def _read_image(path: Path) -> object:
    from twintrain.data.importing.pixels import Shape, pixels_of
    from twintrain.data.importing.source import Encoded

    return pixels_of(Encoded(str(path), path.read_bytes()), Shape(8, 8, 3))


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.zeros((4, 3, 3), np.uint8), y=np.array([0, 1, 0, 1]))
    return file.getvalue()


def _read_npz(path: Path) -> object:
    from twintrain.data.importing.arrays import read_arrays
    from twintrain.data.importing.labels import numbered

    return _all_of(numbered(read_arrays(path), (), ()))


def _all_of(source: Any) -> object:
    """Every image of a source, as it is found."""
    return [
        one
        for pictures in source.splits.values()
        for one in pictures.read(np.arange(len(pictures)))
    ]


def _parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    file = io.BytesIO()
    images = pa.array([{"bytes": b"\x89PNG", "path": "a"}] * 3)
    parquet.write_table(pa.table({"image": images, "label": [0, 1, 0]}), file)
    return file.getvalue()


def _read_parquet(path: Path) -> object:
    from twintrain.data.importing.labels import numbered
    from twintrain.data.importing.parquet import ANY_COLUMNS, read_parquet

    return _all_of(numbered(read_parquet(path, ANY_COLUMNS), (), ()))


def _read_recipe(path: Path) -> object:
    from twintrain.recipe.files import load_recipe, to_yaml

    recipe = load_recipe(path)
    return recipe.hash, to_yaml(recipe), recipe.for_twin("loop")


def _override(random: Random) -> bytes:
    key = random.choice(
        ("training.epochs", "name", "seeds", "loop", "loop.training.shuffle", "data")
    )
    key = random.choice((key, key, ".".join(["loop"] * 2000), "", ".", "a.b"))
    return corruption.odd_text(f"{key}: 3\n", random).replace(b": ", b"=", 1)


def _avro() -> bytes:
    import fastavro

    rows = list(csv.DictReader(io.StringIO(TABLE)))
    fields = [{"name": name, "type": ["null", "string"]} for name in rows[0]]
    with io.BytesIO() as file:
        fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, rows)
        return file.getvalue()


@functools.cache
def _tfrecord() -> bytes:
    import tensorflow as tf

    def of_text(text: str) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in csv.DictReader(io.StringIO(TABLE)):
                features = {name: of_text(text) for name, text in row.items()}
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
        return path.read_bytes()


@functools.cache
def _sqlite() -> bytes:
    names, *rows = csv.reader(io.StringIO(TABLE))
    columns = ", ".join(f'"{name}"' for name in names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.sqlite"
        connection = sqlite3.connect(path)
        connection.execute(f"CREATE TABLE rows ({columns})")
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()
        connection.close()
        return path.read_bytes()


def _read_query(path: Path) -> object:
    (path.parent / "town.sqlite").write_bytes(_sqlite())
    return _read_table(path)


def _read_database(path: Path) -> object:
    query = path.with_name("query.sql")
    query.write_text(f"-- database: {path.name}\nSELECT * FROM rows", encoding="utf-8")
    return _read_table(query)


def _read_table(path: Path) -> object:
    """As `twintrain new` looks at a table, and then a run reads it."""
    from twintrain.data.table_survey import survey
    from twintrain.data.tables import RowIds, read_table

    types = {name: column.kind for name, column in survey([path]).columns.items()}
    ids = RowIds(None)
    return [ids.of(batch) for batch in read_table(path, types)]


def _read_override(path: Path) -> object:
    from twintrain.recipe.files import load_recipe

    text = path.read_bytes().decode("utf-8", "surrogateescape")
    return load_recipe("standard", [text]).hash


def _read_schema(path: Path) -> object:
    from components.curated_schema import count_labels, load_rules
    from twintrain.problems.statement import IMAGES

    return count_labels(load_rules(path, COLUMNS, IMAGES), "label")


def _read_cluster(path: Path) -> object:
    from pipelines.kfp.cluster import load_cluster

    return load_cluster(path)


def _read_schedule(path: Path) -> object:
    from pipelines.kfp.schedule import load_schedule

    return load_schedule(path)


def _record() -> Any:
    from twintrain.comparison.comparison import Comparison
    from twintrain.trend.span_record import record_from

    text = _bundled("docs/example/comparison.json")
    return json.loads(record_from(Comparison.model_validate_json(text), 3, 0.03).model_dump_json())


def _read_record(path: Path) -> object:
    """As `twintrain trend` does, beside a right record."""
    from twintrain.trend.monitor import judge
    from twintrain.trend.page import render_trend
    from twintrain.trend.record_store import RecordStore

    (path.parent / f"span-{2:09d}-{'0' * 16}.json").write_text(json.dumps(_record() | {"span": 2}))
    path.replace(path.parent / f"span-{3:09d}-{'0' * 16}.json")
    return render_trend(judge(RecordStore(str(path.parent)).all()))


def _read_report(path: Path) -> object:
    import twintrain
    from twintrain.report.render import render_html

    found = twintrain.load(path)
    return found._repr_html_(), render_html(found)


def _read_code(path: Path) -> object:
    from twintrain.diagnosis.scripts.source import look

    return look([path])


def _read_problem(path: Path) -> object:
    """As `--problem` does; what was imported is forgotten."""
    from pipelines.cli.user_file import importable
    from twintrain.problems.user_problem import read_module

    places, found = list(sys.path), os.environ.get("PYTHONPATH")
    try:
        _, module = importable("--problem", str(path))
        importlib.invalidate_caches()
        stated = read_module(module)
        return stated.statement.raw_columns, stated.statement.task.metric.title
    finally:
        sys.modules.pop(path.stem, None)
        sys.path[:] = places
        if found is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = found
