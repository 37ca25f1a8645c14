from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.odd_inputs import NEARLY_RIGHT, refusal
from tests.twintrain.data.importing.images import as_png, pictures, split_of
from twintrain.data.importing.import_data import ImportOptions, import_data
from twintrain.data.importing.parquet import ANY_COLUMNS, Columns, read_parquet
from twintrain.data.importing.pixels import Shape, pixels_of
from twintrain.errors import TwintrainError


def write(path: Path, pixels: np.ndarray, names: tuple[str, ...] = (), **columns: Any) -> None:
    """As Hugging Face's hub writes a data set with an `Image` and a `ClassLabel`."""
    cells = [
        {"bytes": as_png(image), "path": f"{number}.png"} for number, image in enumerate(pixels)
    ]
    table = pyarrow.table({"img": cells, **columns})
    features = {"img": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    table = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def test_files_of_the_hub_come_in_bit_for_bit(tmp_path: Path) -> None:
    made = pictures(600, 5, 4, 3)
    labels = np.arange(600) % 3
    for part in (0, 1):
        rows = slice(300 * part, 300 * (part + 1))
        name = f"plain_text/train-0000{part}-of-00002.parquet"
        write(tmp_path / "hub" / name, made[rows], ("x", "y", "z"), label=labels[rows])
    write(
        tmp_path / "hub" / "plain_text" / "test-00000-of-00001.parquet", made[:9], label=labels[:9]
    )
    left = import_data(tmp_path / "hub", tmp_path / "in", ImportOptions(), lambda *_: None)
    pixels, numbers = split_of(tmp_path / "in", "train")
    assert pixels.tobytes() == made.tobytes()
    assert numbers.tolist() == labels.tolist()
    assert left.counts == {"train": 600, "eval": 9}
    assert "label_names: [x, y, z]" in left.recipe.read_text()


def test_one_file_is_split_in_its_order(tmp_path: Path) -> None:
    made = pictures(50, 3, 3)
    write(tmp_path / "all.parquet", made, label=np.arange(50) % 2)
    import_data(
        tmp_path / "all.parquet", tmp_path / "in", ImportOptions(hold_out=0.2), lambda *_: None
    )
    train, test = split_of(tmp_path / "in", "train")[0], split_of(tmp_path / "in", "eval")[0]
    place = {image.tobytes(): position for position, image in enumerate(made)}
    for part in (train, test):
        assert (np.diff([place[image.tobytes()] for image in part]) > 0).all()
    assert len(train) + len(test) == len({image.tobytes() for image in (*train, *test)}) == 50


@pytest.mark.parametrize(
    "name", ["default/{}/0000.parquet", "{}.parquet", "data/{}-00000-of-00001-2fb1.parquet"]
)
def test_splits_go_by_the_file_or_its_directory(tmp_path: Path, name: str) -> None:
    for split, rows in (("train", 8), ("validation", 4), ("test", 6)):
        write(tmp_path / name.format(split), pictures(rows, 3, 3), label=np.arange(rows) % 2)
    source = read_parquet(tmp_path, ANY_COLUMNS)
    assert {split: len(found) for split, found in source.splits.items()} == {"train": 8, "eval": 6}
    assert source.notes == (f"Not used: {tmp_path / name.format('validation')}.",)


def test_several_data_sets_are_not_thrown_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(
            tmp_path / name / "train-0.parquet", pictures(4, 3, 3), ("x", "y"), label=[0, 1, 0, 1]
        )
    with pytest.raises(TwintrainError, match=f"has 2 data sets: {tmp_path}/a, {tmp_path}/b"):
        read_parquet(tmp_path, ANY_COLUMNS)
    write(tmp_path / "a" / "test-0.parquet", pictures(4, 3, 3), ("y", "x"), label=[0, 1, 0, 1])
    with pytest.raises(
        TwintrainError, match=r"test-0\.parquet calls its labels y, x, another file x, y"
    ):
        read_parquet(tmp_path / "a", ANY_COLUMNS)


def test_columns_are_told_apart_or_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "two.parquet"
    write(path, pictures(6, 3, 3), fine=[0, 1, 2, 3, 4, 5], coarse=[0, 0, 0, 1, 1, 1])
    with pytest.raises(
        TwintrainError, match=r"2 columns of whole numbers.*\n.*--label-column: fine, coarse"
    ):
        read_parquet(path, ANY_COLUMNS)
    found = read_parquet(path, Columns(label="coarse"))
    assert found.splits["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(
        TwintrainError, match=r"no column 'coarze' of whole numbers. Did you mean 'coarse'\?"
    ):
        read_parquet(path, Columns(label="coarze"))
    second = pyarrow.array(
        [as_png(image) for image in pictures(6, 3, 3, seed=1)], pyarrow.large_binary()
    )
    write(path, pictures(6, 3, 3), mask=second, label=[0, 1] * 3)
    with pytest.raises(
        TwintrainError, match=r"2 columns of encoded images.*\n.*--image-column: img, mask"
    ):
        read_parquet(path, ANY_COLUMNS)
    (first,) = read_parquet(path, Columns(image="mask")).splits["train"].read(np.array([3]))
    assert (pixels_of(first, Shape(3, 3, 1))[:, :, 0] == pictures(6, 3, 3, seed=1)[3]).all()


def test_what_is_no_table_of_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TwintrainError, match="cannot be read as Parquet"):
        read_parquet(tmp_path / "broken.parquet", ANY_COLUMNS)
    parquet.write_table(pyarrow.table({"a": [1], "b": [2]}), tmp_path / "numbers.parquet")
    with pytest.raises(
        TwintrainError, match=r"0 columns of encoded images; it holds a \(int64\), b \(int64\)"
    ):
        read_parquet(tmp_path / "numbers.parquet", ANY_COLUMNS)
    write(tmp_path / "text.parquet", pictures(2, 3, 3), label=["cat", "dog"])
    with pytest.raises(
        TwintrainError, match=r"has no column 'label' of whole numbers|0 columns of whole numbers"
    ):
        read_parquet(tmp_path / "text.parquet", ANY_COLUMNS)
    write(tmp_path / "null.parquet", pictures(2, 3, 3), label=[0, None])
    with pytest.raises(TwintrainError, match="1 rows without a label"):
        read_parquet(tmp_path / "null.parquet", ANY_COLUMNS)
    write(tmp_path / "set" / "train.parquet", pictures(2, 3, 3), label=[0, 1])
    write(tmp_path / "set" / "test.parquet", pictures(2, 3, 3), other=[0, 1])
    with pytest.raises(
        TwintrainError, match=r"test\.parquet has no column 'label', as the first file has"
    ):
        read_parquet(tmp_path / "set", ANY_COLUMNS)


@pytest.mark.parametrize("column", ["img.bytes", "label"])
def test_damage_within_a_file_is_told_and_nothing_is_left(tmp_path: Path, column: str) -> None:
    path = tmp_path / "all.parquet"
    write(path, pictures(50, 30, 30), label=np.arange(50) % 2)
    group = parquet.ParquetFile(path).metadata.row_group(0)
    (start,) = (
        part.data_page_offset
        for part in map(group.column, range(3))
        if part.path_in_schema == column
    )
    content = bytearray(path.read_bytes())
    content[start : start + 20] = bytes([255] * 20)
    path.write_bytes(content)
    with pytest.raises(TwintrainError, match=r"all\.parquet cannot be read as Parquet"):
        import_data(path, tmp_path / "in", ImportOptions(), lambda *_: None)
    assert [left.name for left in tmp_path.iterdir()] == ["all.parquet"]


@NEARLY_RIGHT
@given(random=st.randoms())
def test_a_file_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("parquet", random)
    assert told is None or told.problem.strip()


@pytest.mark.parametrize(
    "metadata",
    [b"[" * 100_000, b"\xff", b'{"info": {"features": {"label": {"names": "ab"}}}}'],
    ids=["nested", "no text", "no list"],
)
def test_names_that_cannot_be_read_are_none(tmp_path: Path, metadata: bytes) -> None:
    table = pyarrow.table({"image": [as_png(pictures(1, 3, 3)[0])] * 2, "label": [0, 1]})
    parquet.write_table(table.replace_schema_metadata({"huggingface": metadata}), tmp_path / "a")
    assert read_parquet(tmp_path / "a", ANY_COLUMNS).label_names == ()
