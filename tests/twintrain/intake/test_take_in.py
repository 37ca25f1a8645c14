from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from tests.twintrain.intake.images import as_png, pictures, put, put_folder, split_of
from twintrain.errors import TwintrainError
from twintrain.idx_data import IdxData
from twintrain.intake.take_in import Taken, Wishes, take_in
from twintrain.recipe_files import load_recipe
from twintrain.spans import MARKER, choose_span


def taken(origin: Path, target: Path, **wishes: object) -> Taken:
    return take_in(origin, target, Wishes(**wishes), lambda split, done, total: None)  # type: ignore[arg-type]


def test_directories_of_images_come_in_whole_and_mixed(tmp_path: Path) -> None:
    train = put_folder(tmp_path / "from" / "train", {"dog": 20, "cat": 30}, 6, 5, 3)
    test = put_folder(tmp_path / "from" / "test", {"dog": 7, "cat": 8}, 6, 5, 3, seed=1)
    (tmp_path / "from" / "train" / "cat" / "notes.txt").write_text("no image")
    left = taken(tmp_path / "from", tmp_path / "pets")
    assert (left.counts, left.shape, left.labels) == ({"train": 50, "eval": 15}, (6, 5, 3), 2)
    assert left.notes == (f"1 files below {tmp_path}/from/train are no images and were left out.",)
    for split, put_there in (("train", train), ("eval", test)):
        pixels, labels = split_of(tmp_path / "pets", split)
        for number, label in enumerate(("cat", "dog")):
            assert {image.tobytes() for image in pixels[labels == number]} == put_there[label]
        assert 1 < np.count_nonzero(np.diff(labels)) < len(labels) - 1, "sorted by label, or not mixed by chance"
    recipe = load_recipe(left.recipe)
    assert (recipe.name, recipe.data.image_shape) == ("pets", (6, 5, 3))
    assert recipe.comparison.label_names == ("cat", "dog")
    assert IdxData(tmp_path / "pets").store("train", 100).pixels.shape == (50, 6, 5, 3)
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"


def test_where_nothing_is_there_to_test_on_a_share_of_each_label_is_held_out(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"a": 20, "b": 10}, 4, 4)
    left = taken(tmp_path / "from", tmp_path / "one", hold_out=0.3)
    assert left.counts == {"train": 21, "eval": 9}
    assert np.bincount(split_of(tmp_path / "one", "eval")[1]).tolist() == [6, 3]
    assert left.shape == (4, 4, 1)
    assert "30% of each label were held out" in left.notes[0]
    taken(tmp_path / "from", tmp_path / "two", hold_out=0.3)
    taken(tmp_path / "from", tmp_path / "three", hold_out=0.3, seed=1)
    images = [split_of(tmp_path / name, "eval")[0].tobytes() for name in ("one", "two", "three")]
    assert images[0] == images[1] != images[2]


@settings(max_examples=25)
@given(
    st.integers(1, 6), st.integers(1, 6), st.sampled_from([(), (1,), (3,)]), st.lists(st.integers(0, 255), min_size=1)
)
def test_arrays_come_in_bit_for_bit(height: int, width: int, channels: tuple[int, ...], labels: list[int]) -> None:
    made = pictures(len(labels), height, width, *channels)
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "data.npz", Path(folder) / "in"
        np.savez(path, x_train=made, y_train=np.array(labels)[:, None], x_test=made[:1], y_test=labels[:1])
        left = taken(path, target)
        pixels, numbers = split_of(target, "train")
        assert pixels.tobytes() == made.tobytes()
        assert numbers.tolist() == labels
        assert left.shape == (height, width, *(channels or (1,)))
        assert left.notes[-1].startswith("1 images of the test split are in the training split too")


def test_the_schema_is_the_bundled_one_with_as_many_labels(tmp_path: Path) -> None:
    rows = pictures(20, 3, 3)
    np.savez(tmp_path / "ten.npz", x_train=rows, y_train=np.arange(20) % 10, x_test=rows, y_test=np.arange(20) % 10)
    taken(tmp_path / "ten.npz", tmp_path / "in")
    assert (tmp_path / "in" / "schema.pbtxt").read_text() == (REPOSITORY / "data" / "schema.pbtxt").read_text()


def test_spans_share_labels_and_shape(tmp_path: Path) -> None:
    put_folder(tmp_path / "may", {"cat": 10, "dog": 10}, 4, 4, 3)
    put_folder(tmp_path / "june", {"dog": 10}, 4, 4, 3, seed=1)
    put_folder(tmp_path / "july", {"cat": 10, "eel": 10}, 4, 4, 3, seed=2)
    put_folder(tmp_path / "august", {"cat": 10, "dog": 10}, 5, 5, 3, seed=3)
    first = taken(tmp_path / "may", tmp_path / "shop" / "span-1")
    assert (first.data, first.recipe) == (tmp_path / "shop", tmp_path / "shop" / "recipe.yaml")
    assert load_recipe(first.recipe).name == "shop"
    taken(tmp_path / "june", tmp_path / "shop" / "span-2")
    assert set(split_of(tmp_path / "shop" / "span-2", "train")[1]) == {1}, "dog stays label 1 where there is no cat"
    with pytest.raises(TwintrainError, match="images of eel; the labels are cat, dog"):
        taken(tmp_path / "july", tmp_path / "shop" / "span-3")
    with pytest.raises(TwintrainError, match=r"5 x 5 x 3, those of earlier spans 4 x 4 x 3.\n.*--size 4x4"):
        taken(tmp_path / "august", tmp_path / "shop" / "span-3")
    taken(tmp_path / "august", tmp_path / "shop" / "span-3", size=(4, 4))
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == [
        *("recipe.yaml", "schema.pbtxt", "span-1", "span-2", "span-3")
    ]


def test_a_span_says_that_it_is_complete_where_others_do(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"cat": 10, "dog": 10}, 4, 4)
    taken(tmp_path / "from", tmp_path / "shop" / "span-1")
    taken(tmp_path / "from", tmp_path / "shop" / "span-2")
    assert choose_span(tmp_path / "shop", None) == (2, [])
    assert not (tmp_path / "shop" / "span-2" / MARKER).exists()
    (tmp_path / "shop" / "span-1" / MARKER).touch()
    taken(tmp_path / "from", tmp_path / "shop" / "span-3")
    assert choose_span(tmp_path / "shop", None) == (3, [])


def test_images_that_cannot_be_taken_are_all_named_and_nothing_is_left(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"a": 20, "b": 20}, 4, 4)
    whole = as_png(pictures(1, 4, 4)[0])
    for number in range(12):
        (tmp_path / "from" / "a" / f"{number:03d}.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TwintrainError) as caught:
        taken(tmp_path / "from", tmp_path / "in")
    assert caught.value.problem.startswith("12 of 40 images cannot be taken in:")
    assert caught.value.problem.count("cannot be read as an image") == 5
    assert caught.value.problem.splitlines()[-1].strip() == "and 7 more"
    assert [path.name for path in tmp_path.iterdir()] == ["from"]


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"a": 5, "b": 5}, 4, 4)
    taken(tmp_path / "from", tmp_path / "in")
    before = {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    with pytest.raises(TwintrainError, match="is there already"):
        taken(tmp_path / "from", tmp_path / "in")
    assert {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before
    (tmp_path / "empty").mkdir()
    assert taken(tmp_path / "from", tmp_path / "empty").counts["train"] == 8


def test_sizes_that_differ_need_a_size(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"a": 5, "b": 5}, 4, 4, 3)
    put(tmp_path / "from" / "b" / "other.png", pictures(1, 6, 9, 3)[0])
    with pytest.raises(TwintrainError, match=r"(6 x 9, the first image 4 x 4|4 x 4, the first image 6 x 9)"):
        taken(tmp_path / "from", tmp_path / "in")
    assert taken(tmp_path / "from", tmp_path / "in", size=(8, 8), channels=1).shape == (8, 8, 1)


def test_an_origin_that_is_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="does not exist"):
        taken(tmp_path / "nowhere", tmp_path / "in")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(TwintrainError, match="cannot be read as a NumPy archive"):
        taken(tmp_path / "text.npz", tmp_path / "in")
    np.save(tmp_path / "plain.npy", pictures(2, 3, 3))
    with pytest.raises(TwintrainError, match="cannot be read as a NumPy archive"):
        taken(tmp_path / "plain.npy", tmp_path / "in")


def test_labels_have_a_name_each(tmp_path: Path) -> None:
    rows, labels = pictures(4, 3, 3), [0, 1, 2, 0]
    buffer = io.BytesIO()
    np.savez(buffer, x_train=rows, y_train=labels, x_test=rows, y_test=labels)
    (tmp_path / "data.npz").write_bytes(buffer.getvalue())
    with pytest.raises(TwintrainError, match="labels up to 2, and 2 names for them"):
        taken(tmp_path / "data.npz", tmp_path / "in", names=("a", "b"))
    assert taken(tmp_path / "data.npz", tmp_path / "in", names=("a", "b", "c")).labels == 3
