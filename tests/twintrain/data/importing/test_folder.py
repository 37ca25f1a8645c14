from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.twintrain.data.importing.images import pictures, put, put_folder
from twintrain.data.importing.folder import read_folder
from twintrain.errors import TwintrainError


def test_splits_go_by_many_names_and_only_one_is_tested_on(tmp_path: Path) -> None:
    for split in ("Training", "Test", "val"):
        put_folder(tmp_path / split, {"a": 3, "b": 2}, 2, 2)
    source = read_folder(tmp_path, 0)
    assert {split: len(found) for split, found in source.splits.items()} == {"train": 5, "eval": 5}
    assert source.notes == (f"{tmp_path}/val was not used: Training and Test are the data.",)


def test_a_split_without_one_to_train_on_is_no_label(tmp_path: Path) -> None:
    put_folder(tmp_path, {"a": 3, "b": 2, "test/a": 1, "test/b": 1}, 2, 2)
    with pytest.raises(
        TwintrainError, match=r"has test, but no directory to train on.\n.*into `train`"
    ):
        read_folder(tmp_path, 0)


def test_whatever_is_left_out_is_told(tmp_path: Path) -> None:
    for split in ("train", "test", "extra", "TRAINING"):
        put_folder(tmp_path / split, {"a": 3, "b": 2}, 2, 2)
    put(tmp_path / "train" / "loose.png", pictures(1, 2, 2)[0])
    (tmp_path / "test" / "a" / "notes.txt").write_text("no image")
    assert read_folder(tmp_path, 0).notes == (
        f"{tmp_path}/TRAINING was not used: train and test are the data.",
        f"{tmp_path}/extra was not used: train and test are the data.",
        f"{tmp_path}/train: left out, because they lie in no directory of a label: loose.png.",
        f"{tmp_path}/test: left out, because they are no images: a/notes.txt.",
    )


def test_links_are_followed_once_and_broken_ones_are_told(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"a": 3, "b": 2}, 2, 2)
    put_folder(tmp_path / "elsewhere", {"more": 4}, 2, 2)
    (tmp_path / "from" / "a" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "from" / "b" / "circle").symlink_to(tmp_path / "from")
    (tmp_path / "from" / "b" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    found = read_folder(tmp_path / "from", 0).splits["train"]
    assert sorted(found.labels) == [0] * 7 + [1] * 3
    faults = [image.where for image in found.read(np.arange(len(found))) if image.fault]
    assert faults == [str(tmp_path / "from" / "b" / "gone.png")]


def test_splits_of_unknown_names_are_not_taken_for_labels(tmp_path: Path) -> None:
    for split in ("fold1", "fold2"):
        put_folder(tmp_path / split, {"a": 3, "b": 2}, 2, 2)
    with pytest.raises(
        TwintrainError, match=r"only directories that have: fold1/a/000.png.\n.*`train`"
    ):
        read_folder(tmp_path, 0)


def test_images_may_lie_deeper_below_their_label(tmp_path: Path) -> None:
    put_folder(tmp_path / "train", {"a/monday": 3, "a/tuesday": 2, "b": 2}, 2, 2)
    source = read_folder(tmp_path, 0)
    assert source.label_names == ("a", "b")
    assert sorted(source.splits["train"].labels) == [0] * 5 + [1] * 2


def test_what_a_mac_leaves_behind_is_no_image_and_no_label(tmp_path: Path) -> None:
    put_folder(tmp_path, {"a": 3, "b": 2}, 2, 2)
    for path in ("a/._000.png", ".thumbs/x.png", "a/.DS_Store", "__MACOSX/a/._000.png"):
        put(tmp_path / path, pictures(1, 2, 2)[0])
    (tmp_path / "empty").mkdir()
    source = read_folder(tmp_path, 0)
    assert (source.label_names, len(source.splits["train"]), source.notes) == (("a", "b"), 5, ())


def test_labels_that_are_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    put_folder(tmp_path, {str(number): 1 for number in (10, 9, 2, 100)}, 2, 2)
    assert read_folder(tmp_path, 0).label_names == ("2", "9", "10", "100")
