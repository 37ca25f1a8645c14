from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.odd_inputs import NEARLY_RIGHT, refusal
from tests.twintrain.data.importing.images import pictures
from twintrain.data.importing.arrays import read_arrays
from twintrain.errors import TwintrainError


def test_names_of_medmnist_are_known_and_what_is_left_aside_is_told(tmp_path: Path) -> None:
    rows = pictures(6, 3, 3, 3)
    arrays = {
        f"{split}_{kind}": rows if kind == "images" else np.zeros((6, 1), np.uint8)
        for split in ("train", "val", "test")
        for kind in ("images", "labels")
    }
    np.savez(tmp_path / "m.npz", **arrays)
    source = read_arrays(tmp_path / "m.npz")
    assert {split: len(found) for split, found in source.splits.items()} == {"train": 6, "eval": 6}
    assert source.notes == (f"{tmp_path}/m.npz: not used: val_images, val_labels.",)


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (np.zeros((4, 3, 3), np.float32), [0, 1, 0, 1], "holds float32 from 0.0 to 0.0"),
        (np.full((4, 3, 3), 256), [0, 1, 0, 1], "holds int64 from 256 to 256"),
        (np.zeros((4, 9), np.uint8), [0, 1, 0, 1], "has the shape 4 x 9"),
        (np.zeros((4, 3, 3), np.uint8), np.eye(4), "y in .* has the shape 4 x 4"),
        (np.zeros((4, 3, 3), np.uint8), [0.5, 1, 0, 1], "y in .* holds float64"),
        (np.zeros((4, 3, 3), np.uint8), [0, 1, 0, 256], "labels from 0 to 256"),
        (np.zeros((4, 3, 3), np.uint8), [0, 1, 0], "4 x and 3 y"),
        (np.zeros((4, 3, 3), "m8[s]"), [0, 1, 0, 1], r"x in .* holds timedelta64\[s\]"),
        (np.zeros((4, 3, 3), np.uint8), np.zeros(4, "m8[s]"), r"y in .* holds timedelta64\[s\]"),
        (np.zeros((4, 3, 3), "U2"), [0, 1, 0, 1], "x in .* holds <U2"),
        (np.zeros((4, 3, 3), "c8"), [0, 1, 0, 1], "x in .* holds complex64"),
    ],
)
def test_what_are_no_images_and_labels_is_told(
    tmp_path: Path, images: np.ndarray, labels: object, expected: str
) -> None:
    np.savez(tmp_path / "d.npz", x=images, y=labels)
    with pytest.raises(TwintrainError, match=expected) as caught:
        read_arrays(tmp_path / "d.npz")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("most", "remedy"), [(1.0, r"\(x \* 255\)\.round"), (255.0, r": x\.round")]
)
def test_floats_are_told_how_to_become_bytes(tmp_path: Path, most: float, remedy: str) -> None:
    np.savez(tmp_path / "d.npz", x=np.full((2, 3, 3), most), y=[0, 1])
    with pytest.raises(TwintrainError, match=remedy):
        read_arrays(tmp_path / "d.npz")


def test_an_archive_of_files_is_not_listed_in_full(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for number in range(50):
            archive.writestr(f"cat/{number}.png", b"")
    with pytest.raises(
        TwintrainError,
        match=r"and 45 more; neither x_train.*\nUnpack an archive of image files first",
    ):
        read_arrays(tmp_path / "photos.zip")


def test_nobody_is_advised_to_unpickle(tmp_path: Path) -> None:
    (tmp_path / "d.tar.gz").write_bytes(gzip.compress(b"no archive of NumPy's" * 20))
    with pytest.raises(TwintrainError) as caught:
        read_arrays(tmp_path / "d.tar.gz")
    assert "pickle" not in str(caught.value)


def test_arrays_that_are_not_there_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", pixels=pictures(2, 3, 3))
    with pytest.raises(TwintrainError, match="holds pixels; neither x_train"):
        read_arrays(tmp_path / "d.npz")


@NEARLY_RIGHT
@given(random=st.randoms())
def test_an_archive_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("npz", random)
    assert told is None or told.problem.strip()
