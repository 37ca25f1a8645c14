from __future__ import annotations

from pathlib import Path

import pytest

from tests.twintrain.intake.images import pictures, put, put_folder
from twintrain.errors import TwintrainError
from twintrain.intake.folder import read_folder


def test_splits_go_by_many_names_and_only_one_is_tested_on(tmp_path: Path) -> None:
    for split in ("Training", "Test", "val"):
        put_folder(tmp_path / split, {"a": 3, "b": 2}, 2, 2)
    source = read_folder(tmp_path, (), 0)
    assert {split: len(found) for split, found in source.splits.items()} == {"train": 5, "eval": 5}
    assert source.notes == (f"{tmp_path}/val was not used: Test is tested on.",)


def test_splits_of_unknown_names_are_not_taken_for_labels(tmp_path: Path) -> None:
    for split in ("fold1", "fold2"):
        put_folder(tmp_path / split, {"a": 3, "b": 2}, 2, 2)
    with pytest.raises(TwintrainError, match=r"only directories that have: fold1/a/000.png.\n.*`train`"):
        read_folder(tmp_path, (), 0)


def test_images_may_lie_deeper_below_their_label(tmp_path: Path) -> None:
    put_folder(tmp_path / "train", {"a/monday": 3, "a/tuesday": 2, "b": 2}, 2, 2)
    source = read_folder(tmp_path, (), 0)
    assert source.label_names == ("a", "b")
    assert sorted(source.splits["train"].labels) == [0] * 5 + [1] * 2


def test_what_a_mac_leaves_behind_is_no_image_and_no_label(tmp_path: Path) -> None:
    put_folder(tmp_path, {"a": 3, "b": 2}, 2, 2)
    for path in ("a/._000.png", ".thumbs/x.png", "a/.DS_Store", "__MACOSX/a/._000.png"):
        put(tmp_path / path, pictures(1, 2, 2)[0])
    (tmp_path / "empty").mkdir()
    source = read_folder(tmp_path, (), 0)
    assert (source.label_names, len(source.splits["train"]), source.notes) == (("a", "b"), 5, ())


def test_labels_that_are_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    put_folder(tmp_path, {str(number): 1 for number in (10, 9, 2, 100)}, 2, 2)
    assert read_folder(tmp_path, (), 0).label_names == ("2", "9", "10", "100")


def test_one_label_is_too_few(tmp_path: Path) -> None:
    put_folder(tmp_path, {"a": 3}, 2, 2)
    with pytest.raises(TwintrainError, match="has 1 directories of images; 2 to 256 labels"):
        read_folder(tmp_path, (), 0)
