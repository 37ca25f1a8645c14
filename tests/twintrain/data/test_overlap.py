from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from twintrain.data.arrays import examples
from twintrain.data.example_store import ExampleStore
from twintrain.data.overlap import Overlap, check_overlap, overlap
from twintrain.errors import TwintrainError


def rows(values: np.ndarray, targets: np.ndarray | None = None, name: str = "e") -> ExampleStore:
    """A table of two columns."""
    found = np.zeros(len(values), np.int64) if targets is None else targets
    columns = {"a": values.astype(np.float32), "b": (values // 3).astype(np.int64)}
    return examples(columns, found, name)


def saved_again(images: np.ndarray, quality: int) -> np.ndarray:
    """As JPEG files would give them back."""
    found = []
    for image in images:
        held = io.BytesIO()
        Image.fromarray(image).save(held, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(held)))
    return np.stack(found)


def photos(count: int, seed: int) -> np.ndarray:
    """Smooth random pictures, [count, 24, 24, 3], uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((24, 24))) for one in coarse])


def images(pixels: np.ndarray, name: str) -> ExampleStore:
    return examples(pixels.astype(np.float32) / 255, np.zeros(len(pixels), np.int64), name)


def test_the_same_rows_are_counted_and_named() -> None:
    train = rows(np.arange(100), np.arange(100) % 2, "train-")
    test = rows(np.array([200, 5, 300, 6]), np.array([0, 1, 0, 1]), "test-")
    found = overlap(train, test)
    assert (found.repeated, found.relabelled, found.usual_share) == (2, 1, 0)
    assert [train for _, train in found.pairs] == [train.ids[place].decode() for place in (5, 6)]
    assert found.exceeds(0.0)
    assert not found.exceeds(0.1)  # two of four may be chance
    assert "2 of 4 test examples have the inputs of a training example" in found.describe()


def test_a_test_split_of_training_examples_stops() -> None:
    train = rows(np.arange(500))
    with pytest.raises(TwintrainError, match="holds training examples: 300 of 300"):
        check_overlap(overlap(train, train.subset(np.arange(300))), 0.1)
    check_overlap(overlap(train, train.subset(np.arange(300))), 1.0)


def test_where_rows_repeat_anyway_nothing_is_wrong() -> None:
    rng = np.random.default_rng(0)
    train, test = rows(rng.integers(0, 20, 800)), rows(rng.integers(0, 20, 400))
    found = overlap(train, test)
    assert found.share == 1.0
    assert found.usual_share == 1.0
    check_overlap(found, 0.0)


@pytest.mark.parametrize("quality", [75, 90])
def test_images_that_were_saved_again_are_nearly_the_same(quality: int) -> None:
    taken = photos(300, 1)
    train = images(taken, "train-")
    apart, again = photos(100, 2), saved_again(taken[40:140], quality)
    assert overlap(train, images(apart, "test-")).share == 0
    brighter = np.clip(taken[:60].astype(int) + 9, 0, 255).astype(np.uint8)
    found = overlap(train, images(np.concatenate([again, brighter, apart]), "test-"))
    assert found.repeated < 5
    assert 150 <= found.near + found.repeated <= 160
    assert found.exceeds(0.1)
    assert found.usual_share == 0
    test, first = found.pairs[-1]
    assert (test[:5], first[:6]) == ("test-", "train-")


def test_frames_of_one_film_are_usual_where_they_are_usual() -> None:
    """Each picture eight times, hardly changed: drawn at random, both splits have all of them."""
    film = np.repeat(photos(60, 3), 8, axis=0).astype(int)
    film = np.clip(film + np.random.default_rng(0).integers(-2, 3, film.shape), 0, 255)
    order = np.random.default_rng(1).permutation(len(film))
    train, test = (images(film[part], "f") for part in (order[:360], order[360:]))
    found = overlap(train, test)
    assert found.share > 0.95
    assert found.usual_share > 0.95
    assert not found.exceeds(0.1)


def test_small_inputs_are_held_to_equality_alone() -> None:
    train = examples(np.zeros((5, 3), np.float32), np.zeros(5), "a")
    test = examples(np.full((5, 3), 1e-7, np.float32), np.zeros(5), "b")
    found = overlap(train, test)
    assert (found.near_looked_at, found.repeated) == (0, 0)


def test_blank_images_are_no_neighbours_of_all_others() -> None:
    train = images(np.concatenate([photos(50, 1), np.zeros((1, 24, 24, 3), np.uint8)]), "a")
    found = overlap(train, images(np.full((3, 24, 24, 3), 9, np.uint8), "b"))
    assert found.share == 0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.data())
def test_counts_are_those_of_sets(values: list[int], data: st.DataObject) -> None:
    tested = data.draw(st.lists(st.integers(0, 30), min_size=1, max_size=20))
    found = overlap(rows(np.array(values)), rows(np.array(tested)))
    assert found.repeated == sum(one in values for one in tested)
    assert found.usual_repeated * len(values) == pytest.approx(
        sum(values.count(one) > 1 for one in values)
    )


@pytest.mark.parametrize(("rows_tested", "usual"), [(5, 0.8), (10, 0.88), (20, 0.88), (200, 0.8)])
def test_small_tables_that_repeat_are_rarely_stopped(rows_tested: int, usual: float) -> None:
    """All test rows repeat one, which is likely by itself where most rows do."""
    found = Overlap(
        tested=rows_tested,
        repeated=rows_tested,
        relabelled=0,
        near_looked_at=0,
        near=0,
        usual_repeated=usual,
        usual_near=0.0,
        usual_looked_at=100,
        pairs=[],
    )
    # With 200 rows it is no accident any more: three errors above 0.8 are 0.92.
    assert found.exceeds(0.0) == (rows_tested == 200)


def test_large_images_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twintrain.data.overlap._BYTES", 40 * 4 * 24 * 24 * 3)  # forty at a time
    monkeypatch.setattr("twintrain.data.overlap._SEEN", 300)
    taken = photos(130, 1)
    again = np.concatenate([taken[::4], photos(50, 2)])
    found = overlap(images(taken, "a"), images(np.clip(again + 3.0, 0, 255), "b"))
    assert found.near_looked_at == 40
    assert 12 <= found.near <= 20  # of those forty, about 33 in 83 are pictures again
