from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twintrain.diagnosis.watch.seams import WatchError, wrapped


class Thing:
    def half(self, number: int) -> int:
        if number % 2:
            raise ValueError("odd")
        return number // 2


def sees(original: Callable[..., Any], thing: Thing, number: int) -> Any:
    return original(thing, number)


def fails(original: Callable[..., Any], thing: Thing, number: int) -> Any:
    original(thing, number)
    return float("nothing")


def test_a_seam_passes_on_what_happens() -> None:
    before = Thing.half
    with wrapped(Thing, "half", sees):
        assert Thing().half(4) == 2
        with pytest.raises(ValueError, match="odd"):
            Thing().half(3)
    assert Thing.half is before


def test_what_the_seam_itself_raises_is_not_taken_for_the_users() -> None:
    with wrapped(Thing, "half", fails):
        with pytest.raises(WatchError, match=r"failed to watch Thing.half: ValueError"):
            Thing().half(4)
        with pytest.raises(ValueError, match="odd"):
            Thing().half(3)


def test_a_call_the_method_would_refuse_is_the_users() -> None:
    with wrapped(Thing, "half", sees), pytest.raises(TypeError):
        Thing().half(4, 5)  # type: ignore[call-arg]
