from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.twintrain.intake.images import pictures
from twintrain.errors import TwintrainError
from twintrain.intake.arrays import read_arrays


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
    assert source.notes == ("m.npz: val_images, val_labels were not used.",)


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
    ],
)
def test_what_are_no_images_and_labels_is_told(
    tmp_path: Path, images: np.ndarray, labels: object, expected: str
) -> None:
    np.savez(tmp_path / "d.npz", x=images, y=labels)
    with pytest.raises(TwintrainError, match=expected) as caught:
        read_arrays(tmp_path / "d.npz")
    assert caught.value.remedy


def test_arrays_that_are_not_there_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", pixels=pictures(2, 3, 3))
    with pytest.raises(TwintrainError, match="holds pixels; neither x_train"):
        read_arrays(tmp_path / "d.npz")
