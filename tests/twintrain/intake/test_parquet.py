from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from tests.twintrain.intake.images import as_png, pictures
from twintrain.errors import TwintrainError
from twintrain.intake.parquet import read_parquet
from twintrain.intake.take_in import Wishes, take_in

from .images import split_of


def write(path: Path, pixels: np.ndarray, names: tuple[str, ...] = (), **columns: Any) -> None:
    """As Hugging Face's hub writes a data set with an `Image` and a `ClassLabel`."""
    cells = [{"bytes": as_png(image), "path": f"{number}.png"} for number, image in enumerate(pixels)]
    table = pyarrow.table({"img": cells, **columns})
    features = {"img": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def test_files_of_the_hub_come_in_bit_for_bit(tmp_path: Path) -> None:
    made = pictures(600, 5, 4, 3)
    labels = np.arange(600) % 3
    for part in (0, 1):
        rows = slice(300 * part, 300 * (part + 1))
        name = f"plain_text/train-0000{part}-of-00002.parquet"
        write(tmp_path / "hub" / name, made[rows], ("x", "y", "z"), label=labels[rows])
    write(tmp_path / "hub" / "plain_text" / "test-00000-of-00001.parquet", made[:9], label=labels[:9])
    left = take_in(tmp_path / "hub", tmp_path / "in", Wishes(), lambda *_: None)
    pixels, numbers = split_of(tmp_path / "in", "train")
    assert pixels.tobytes() == made.tobytes()
    assert numbers.tolist() == labels.tolist()
    assert left.counts == {"train": 600, "eval": 9}
    assert "label_names: [x, y, z]" in left.recipe.read_text()


def test_one_file_is_split_in_its_order(tmp_path: Path) -> None:
    made = pictures(50, 3, 3)
    write(tmp_path / "all.parquet", made, label=np.arange(50) % 2)
    take_in(tmp_path / "all.parquet", tmp_path / "in", Wishes(hold_out=0.2), lambda *_: None)
    train, test = split_of(tmp_path / "in", "train")[0], split_of(tmp_path / "in", "eval")[0]
    place = {image.tobytes(): position for position, image in enumerate(made)}
    for part in (train, test):
        assert (np.diff([place[image.tobytes()] for image in part]) > 0).all()
    assert len(train) + len(test) == len({image.tobytes() for image in (*train, *test)}) == 50


def test_columns_are_told_apart_or_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "two.parquet"
    write(path, pictures(6, 3, 3), fine=[0, 1, 2, 3, 4, 5], coarse=[0, 0, 0, 1, 1, 1])
    with pytest.raises(TwintrainError, match=r"several columns of whole numbers.*coarse, fine.*\n.*--label-column"):
        read_parquet(path, None)
    assert read_parquet(path, "coarse").splits["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(TwintrainError, match=r"no column 'coarze' of whole numbers. Did you mean 'coarse'\?"):
        read_parquet(path, "coarze")


def test_what_is_no_table_of_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TwintrainError, match="cannot be read as Parquet"):
        read_parquet(tmp_path / "broken.parquet", None)
    parquet.write_table(pyarrow.table({"a": [1], "b": [2]}), tmp_path / "numbers.parquet")
    with pytest.raises(TwintrainError, match=r"0 columns of encoded images: a \(int64\), b \(int64\)"):
        read_parquet(tmp_path / "numbers.parquet", None)
    write(tmp_path / "null.parquet", pictures(2, 3, 3), label=[0, None])
    with pytest.raises(TwintrainError, match="1 rows without a label"):
        read_parquet(tmp_path / "null.parquet", None)
    write(tmp_path / "more" / "part.parquet", pictures(2, 3, 3), label=[0, 1])
    with pytest.raises(TwintrainError, match=r"called train….parquet; there are part.parquet"):
        read_parquet(tmp_path / "more", None)
