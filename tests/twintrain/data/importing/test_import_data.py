from __future__ import annotations

import hashlib
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from tests.twintrain.data.importing.images import as_png, pictures, put, put_folder, split_of
from tests.twintrain.data.importing.test_parquet import write as write_parquet
from twintrain.data import idx
from twintrain.data.idx_source import IdxData
from twintrain.data.importing.import_data import Imported, ImportOptions, import_data
from twintrain.data.spans import MARKER, choose_span
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe


def taken(origin: Path, target: Path, **options: object) -> Imported:
    asked = ImportOptions(**options)  # type: ignore[arg-type]
    return import_data(origin, target, asked, lambda split, done, total: None)


def test_directories_of_images_come_in_whole_and_mixed(tmp_path: Path) -> None:
    train = put_folder(tmp_path / "from" / "train", {"dog": 20, "cat": 30}, 6, 5, 3)
    test = put_folder(tmp_path / "from" / "test", {"dog": 7, "cat": 8}, 6, 5, 3, seed=1)
    (tmp_path / "from" / "train" / "cat" / "notes.txt").write_text("no image")
    left = taken(tmp_path / "from", tmp_path / "pets")
    assert (left.counts, left.shape, left.labels) == ({"train": 50, "eval": 15}, (6, 5, 3), 2)
    assert (
        left.notes[0]
        == f"{tmp_path}/from/train: left out, because they are no images: cat/notes.txt."
    )
    for line in (tmp_path / "pets" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((tmp_path / "pets" / name).read_bytes()).hexdigest() == digest
    assert (tmp_path / "pets" / "SHA256SUMS").read_text().count("-ubyte\n") == 4
    for split, put_there in (("train", train), ("eval", test)):
        pixels, labels = split_of(tmp_path / "pets", split)
        for number, label in enumerate(("cat", "dog")):
            assert {image.tobytes() for image in pixels[labels == number]} == put_there[label]
        assert 1 < np.count_nonzero(np.diff(labels)) < len(labels) - 1, (
            "sorted by label, or not mixed by chance"
        )
    recipe = load_recipe(left.recipe)
    assert (recipe.name, recipe.data.image_shape) == ("pets", (6, 5, 3))
    assert recipe.comparison.label_names == ("cat", "dog")
    assert IdxData(tmp_path / "pets").store("train", 100).shape == (6, 5, 3)
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"


def test_where_nothing_is_there_to_test_on_a_share_of_each_label_is_held_out(
    tmp_path: Path,
) -> None:
    put_folder(tmp_path / "from", {"a": 20, "b": 10}, 4, 4)
    left = taken(tmp_path / "from", tmp_path / "one", hold_out=0.3)
    assert left.counts == {"train": 21, "eval": 9}
    assert np.bincount(split_of(tmp_path / "one", "eval")[1]).tolist() == [6, 3]
    assert left.shape == (4, 4, 1)
    assert left.notes == (
        "There is no split to test on: 30% of each label were held out (--hold-out, --seed).",
    )
    taken(tmp_path / "from", tmp_path / "two", hold_out=0.3)
    taken(tmp_path / "from", tmp_path / "three", hold_out=0.3, seed=1)
    images = [split_of(tmp_path / name, "eval")[0].tobytes() for name in ("one", "two", "three")]
    assert images[0] == images[1] != images[2]


@settings(max_examples=25)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([(), (1,), (3,)]),
    st.integers(2, 256),
    st.randoms(),
)
def test_arrays_come_in_bit_for_bit(
    height: int, width: int, channels: tuple[int, ...], classes: int, chance: random.Random
) -> None:
    labels = [*range(classes), *(chance.randrange(classes) for _ in range(20))]
    chance.shuffle(labels)
    made = pictures(len(labels), height, width, *channels)
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "data.npz", Path(folder) / "in"
        np.savez(path, x_train=made, y_train=np.array(labels)[:, None], x_test=made, y_test=labels)
        left = taken(path, target)
        for split in ("train", "eval"):
            pixels, numbers = split_of(target, split)
            assert pixels.tobytes() == made.tobytes()
            assert numbers.tolist() == labels
        assert left.shape == (height, width, *(channels or (1,)))
        assert left.labels == classes
        assert left.notes[-1].startswith(
            f"{len(labels)} images of the test split are in the training split too"
        )


def test_the_schema_is_the_bundled_one_with_as_many_labels(tmp_path: Path) -> None:
    rows = pictures(20, 3, 3)
    np.savez(
        tmp_path / "ten.npz",
        x_train=rows,
        y_train=np.arange(20) % 10,
        x_test=rows,
        y_test=np.arange(20) % 10,
    )
    taken(tmp_path / "ten.npz", tmp_path / "in")
    assert (tmp_path / "in" / "schema.pbtxt").read_text() == (
        REPOSITORY / "data" / "schema.pbtxt"
    ).read_text()


def test_the_schema_allows_the_difference_there_is_between_the_splits(tmp_path: Path) -> None:
    rows = pictures(100, 3, 3)
    labels = np.arange(100) % 2
    np.savez(
        tmp_path / "d.npz",
        x_train=rows[:60],
        y_train=labels[:60],
        x_test=rows[60:],
        y_test=np.arange(40) < 24,
    )
    with pytest.raises(TwintrainError, match="holds bool"):
        taken(tmp_path / "d.npz", tmp_path / "in")
    skewed = (np.arange(40) < 24).astype(int)
    np.savez(
        tmp_path / "d.npz", x_train=rows[:60], y_train=labels[:60], x_test=rows[60:], y_test=skewed
    )
    left = taken(tmp_path / "d.npz", tmp_path / "in")
    assert left.notes == (
        "A label's share differs by up to 10.0 points between the splits; schema.pbtxt allows 11 "
        "(usually 3).",
    )
    assert "threshold: 0.11 }" in (tmp_path / "in" / "schema.pbtxt").read_text()


def test_spans_share_labels_and_shape(tmp_path: Path) -> None:
    put_folder(tmp_path / "may", {"cat": 10, "dog": 10}, 4, 4, 3)
    put_folder(tmp_path / "june", {"dog": 10}, 4, 4, 3, seed=1)
    put_folder(tmp_path / "july", {"cat": 10, "eel": 10}, 4, 4, 3, seed=2)
    put_folder(tmp_path / "august", {"cat": 10, "dog": 10}, 5, 3, 3, seed=3)
    first = taken(tmp_path / "may", tmp_path / "shop" / "span-1")
    assert (first.data, first.recipe) == (tmp_path / "shop", tmp_path / "shop" / "recipe.yaml")
    assert load_recipe(first.recipe).name == "shop"
    schema = (tmp_path / "shop" / "schema.pbtxt").read_text() + "# curated\n"
    (tmp_path / "shop" / "schema.pbtxt").write_text(schema)
    for name, problem in (
        ("june", "The training split has no image of cat"),
        ("july", "There are images of eel; the labels are cat, dog"),
        ("august", r"5 x 3 x 3, those of earlier spans 4 x 4 x 3.\n.*--size 4x4 --channels 3"),
    ):
        with pytest.raises(TwintrainError, match=problem):
            taken(tmp_path / name, tmp_path / "shop" / "span-2")
    with pytest.raises(TwintrainError, match="--names says dog, cat; earlier spans have cat, dog"):
        taken(tmp_path / "may", tmp_path / "shop" / "span-2", names=("dog", "cat"))
    taken(tmp_path / "august", tmp_path / "shop" / "span-2", size=(4, 4))
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == [
        *("recipe.yaml", "schema.pbtxt", "span-1", "span-2")
    ]
    assert (tmp_path / "shop" / "schema.pbtxt").read_text() == schema


def test_labels_keep_their_numbers_whatever_form_a_span_has(tmp_path: Path) -> None:
    folder = put_folder(tmp_path / "may", {"cat": 10, "dog": 10}, 4, 4)
    taken(tmp_path / "may", tmp_path / "shop" / "span-1")
    rows = pictures(20, 4, 4, seed=5)
    write_parquet(tmp_path / "june.parquet", rows, ("dog", "cat"), label=np.arange(20) % 2)
    taken(tmp_path / "june.parquet", tmp_path / "shop" / "span-2", hold_out=0.5)
    dogs = {image.tobytes() for image in rows[::2]}
    for split in ("train", "eval"):
        pixels, labels = split_of(tmp_path / "shop" / "span-2", split)
        assert [int(image.tobytes() in dogs) for image in pixels] == labels.tolist()
    np.savez(tmp_path / "july.npz", x=rows, y=np.arange(20) % 3)
    with pytest.raises(TwintrainError, match="There are images of 2; the labels are cat, dog"):
        taken(tmp_path / "july.npz", tmp_path / "shop" / "span-3")
    assert len(folder["cat"]) == 10


def test_spans_of_labels_without_names_share_them_too(tmp_path: Path) -> None:
    rows = pictures(20, 4, 4)
    np.savez(tmp_path / "may.npz", x=rows, y=np.arange(20) % 2)
    np.savez(tmp_path / "june.npz", x=rows, y=np.arange(20) % 4)
    taken(tmp_path / "may.npz", tmp_path / "shop" / "span-1")
    with pytest.raises(TwintrainError, match="images of 2, 3; the labels are 0, 1"):
        taken(tmp_path / "june.npz", tmp_path / "shop" / "span-2")
    put_folder(tmp_path / "july", {"0": 10, "1": 10}, 4, 4)
    assert taken(tmp_path / "july", tmp_path / "shop" / "span-2").labels == 2


def test_grey_spans_stay_grey_unless_colour_is_given_up(tmp_path: Path) -> None:
    put_folder(tmp_path / "may", {"cat": 10, "dog": 10}, 4, 4)
    put_folder(tmp_path / "june", {"cat": 10, "dog": 10}, 4, 4, 3)
    taken(tmp_path / "may", tmp_path / "shop" / "span-1")
    with pytest.raises(TwintrainError, match=r"20 of 20 images.*\n.*has colour") as caught:
        taken(tmp_path / "june", tmp_path / "shop" / "span-2")
    assert (
        caught.value.remedy
        == "Give colour up with --channels 1, or keep it in all with --channels 3."
    )
    assert taken(tmp_path / "june", tmp_path / "shop" / "span-2", channels=1).shape == (4, 4, 1)


def test_a_span_does_not_hide_what_is_there(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"cat": 10, "dog": 10}, 4, 4)
    taken(tmp_path / "from", tmp_path / "shop")
    with pytest.raises(TwintrainError, match="is a data set itself"):
        taken(tmp_path / "from", tmp_path / "shop" / "span-2")
    taken(tmp_path / "from", tmp_path / "other" / "span-1")
    (tmp_path / "other" / "recipe.yaml").unlink()
    with pytest.raises(TwintrainError, match=r"has spans, but no recipe\.yaml"):
        taken(tmp_path / "from", tmp_path / "other" / "span-2")


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
    assert caught.value.remedy == "Mend it or take it away."
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
    with pytest.raises(
        TwintrainError, match=r"(6 x 9, the first image 4 x 4|4 x 4, the first image 6 x 9)"
    ):
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


@pytest.mark.parametrize(
    ("labels", "names", "problem"),
    [
        ([0, 1, 2, 0, 1, 2], ("a", "b"), "There are images of 2; the labels are a, b"),
        ([0, 1, 0, 1], ("a", "b", "c"), "The training split has no image of c"),
        ([0, 1, 0, 1], ("a", "a"), "The label 'a' is named twice"),
        ([0, 1, 0, 1], ("a", ""), "A label has an empty name"),
        ([0, 1, 0, 1], ("a", "Caf\udce9"), "is no name that can be written down"),
        ([0, 0, 0, 0], (), "There are 1 labels; 2 to 256"),
        ([1, 2, 1, 2], (), "The training split has no image of 0"),
        ([0, 200, 0, 200], (), "no image of 1, 2, 3, 4, 5 and 194 more"),
        ([0, 1, 0, 0], (), "The test split has no image of 1"),
    ],
)
def test_labels_have_a_name_and_images_each(
    tmp_path: Path, labels: list[int], names: tuple[str, ...], problem: str
) -> None:
    np.savez(tmp_path / "data.npz", x=pictures(len(labels), 3, 3), y=labels)
    with pytest.raises(TwintrainError, match=problem) as caught:
        taken(tmp_path / "data.npz", tmp_path / "in", names=names, hold_out=0.5)
    assert caught.value.remedy
    assert not (tmp_path / "in").exists()


def test_names_say_in_which_order_named_labels_are_numbered(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"cat": 10, "dog": 30}, 4, 4)
    taken(tmp_path / "from", tmp_path / "in", names=("dog", "cat"))
    assert np.bincount(split_of(tmp_path / "in", "train")[1]).tolist() == [24, 8]


def test_a_table_beside_the_images_does_not_take_their_place(tmp_path: Path) -> None:
    put_folder(tmp_path / "from", {"cat": 10, "dog": 30}, 4, 4)
    (tmp_path / "from" / "metadata.parquet").write_bytes(b"whatever")
    assert taken(tmp_path / "from", tmp_path / "in").counts == {"train": 32, "eval": 8}


@pytest.mark.parametrize("targets", [("in", "in"), ("in/span-1", "in/span-2")])
def test_two_intakes_into_one_place_do_not_mix(tmp_path: Path, targets: tuple[str, str]) -> None:
    put_folder(tmp_path / "from", {"dog": 6, "cat": 6}, 4, 4, 3)
    first, second = (tmp_path / target for target in targets)
    said = []

    def meanwhile(split: str, done: int, total: int) -> None:
        if not said:
            with pytest.raises(TwintrainError, match="Another `data import` is writing to") as told:
                taken(tmp_path / "from", second)
            said.append(told.value.remedy)

    import_data(tmp_path / "from", first, ImportOptions(), meanwhile)
    assert said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "in"]
    for path, digest in idx.read_checksums(first).items():
        assert idx.sha256_of(first / path) == digest
    if targets[0] != targets[1]:
        taken(tmp_path / "from", second)
