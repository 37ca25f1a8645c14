from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twintrain.data.importing.labels import largest_difference, numbered
from twintrain.data.importing.source import LabelledImages, Source
from twintrain.errors import TwintrainError

NAMES = st.lists(
    st.text("abcdef", min_size=1, max_size=3), min_size=2, max_size=12, unique=True
).map(tuple)


def source(own: tuple[str, ...], train: list[int], test: list[int]) -> Source:
    splits = {"train": train, "eval": test}
    return Source(
        {
            split: LabelledImages(np.array(labels), lambda _: iter(()))
            for split, labels in splits.items()
        },
        own,
    )


@given(NAMES, st.randoms(use_true_random=False), st.booleans())
def test_an_image_is_called_the_same_whatever_number_that_gets(
    own: tuple[str, ...], chance: random.Random, known_before: bool
) -> None:
    other = (*chance.sample(own, len(own)), "later")
    labels = [chance.randrange(len(own)) for _ in range(30)]
    given_names = (
        {"earlier": other, "wanted": ()} if known_before else {"earlier": (), "wanted": other}
    )
    found = numbered(source(own, labels, labels[:5]), **given_names)
    assert found.label_names == other
    for split, was in (("train", labels), ("eval", labels[:5])):
        assert [found.label_names[label] for label in found.splits[split].labels] == [
            own[label] for label in was
        ]


@given(NAMES)
def test_labels_that_are_only_numbers_keep_them(names: tuple[str, ...]) -> None:
    labels = [*range(len(names))]
    assert numbered(source((), labels, labels), names, ()).splits["train"].labels.tolist() == labels
    assert numbered(source((), labels, labels), (), names).label_names == names
    assert numbered(source((), labels, labels), (), ()).label_names == tuple(map(str, labels))
    with pytest.raises(TwintrainError, match=f"There are images of {len(names)}; the labels are"):
        numbered(source((), [*labels, len(names)], labels), names, ())


def test_a_source_that_names_fewer_labels_than_it_has_is_refused() -> None:
    with pytest.raises(TwintrainError, match="There is a label 2, and 2 names for labels"):
        numbered(source(("a", "b"), [0, 1, 2], [0, 1]), (), ())


def test_the_difference_between_splits_is_the_largest_of_a_labels_share() -> None:
    assert largest_difference(
        source(("a", "b"), [0] * 6 + [1] * 4, [0] * 3 + [1] * 7)
    ) == pytest.approx(0.3)
    assert largest_difference(source(("a", "b", "c"), [0, 1, 2] * 5, [0, 1, 2])) == 0
