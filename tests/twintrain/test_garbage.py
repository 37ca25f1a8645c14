"""Collections pass over what was there before, and only as long as they are told to."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from twintrain import garbage
from twintrain.garbage import only_new_objects


class Circle:
    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def by_hand() -> Iterator[None]:
    """Nothing is collected unasked, and nothing is frozen but by the test."""
    gc.unfreeze()
    gc.disable()
    yield
    gc.enable()
    gc.freeze()


def test_what_is_made_inside_is_collected_and_what_was_there_is_not() -> None:
    before = weakref.ref(Circle())
    with only_new_objects():
        inside = weakref.ref(Circle())
        gc.collect()
        assert inside() is None
        assert before() is not None
    gc.collect()
    assert before() is None


def test_one_inside_the_other_leaves_the_outer_one_alone() -> None:
    before = weakref.ref(Circle())
    with only_new_objects():
        between = weakref.ref(Circle())
        with only_new_objects():
            pass
        gc.collect()
        assert before() is not None
        assert between() is None
    assert gc.get_freeze_count() == 0


def test_what_is_frozen_for_good_stays_so() -> None:
    gc.freeze()
    with only_new_objects():
        pass
    assert gc.get_freeze_count() > 0


def test_it_ends_also_where_something_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), only_new_objects():
        raise ZeroDivisionError
    assert gc.get_freeze_count() == 0


def test_what_is_kept_is_not_looked_at_again() -> None:
    kept = weakref.ref(Circle())
    garbage.keep_all()
    made_later = weakref.ref(Circle())
    gc.collect()
    assert kept() is not None
    assert made_later() is None


def test_rarely_is_not_never() -> None:
    before = gc.get_threshold()
    try:
        garbage.collect_rarely()
        assert before[0] < gc.get_threshold()[0]
        assert gc.get_threshold()[1:] == before[1:]
    finally:
        gc.set_threshold(*before)
