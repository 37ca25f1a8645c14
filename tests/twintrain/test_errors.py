from __future__ import annotations

import errno
import os
import pickle

import pytest
from pydantic import BaseModel, ValidationError

from twintrain.errors import (
    MOST_CHARACTERS,
    TwintrainError,
    did_you_mean,
    explained,
    refused_by_system,
)


class Numbers(BaseModel, extra="forbid"):
    values: list[int]


def test_a_message_that_holds_a_whole_file_is_cut() -> None:
    error = TwintrainError("x" * (MOST_CHARACTERS + 5), "y" * 250_000)
    assert error.problem.endswith("x… (45 characters more)")
    assert error.remedy.endswith("y… (246,040 characters more)")
    assert max(len(error.problem), len(error.remedy)) <= MOST_CHARACTERS
    again = pickle.loads(pickle.dumps(error))
    assert (again.problem, again.remedy) == (error.problem, error.remedy)


def test_what_is_explained_is_short_whatever_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        Numbers.model_validate({"values": ["z" * 9999] * 500, "v" * 5000: 1})
    text = explained(caught.value, Numbers, "The file")
    assert text.count("\n") == 11
    assert text.endswith("and 491 more")
    assert len(text) < 3000
    assert "values.0: Input should be a valid integer" in text


def test_a_long_word_is_like_none() -> None:
    assert len(did_you_mean("q" * 100_000, ["alpha", "beta"])) < 100


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_refusal_of_the_system_is_a_sentence(number: int) -> None:
    found = refused_by_system(OSError(number, os.strerror(number), "/runs/a"))
    assert found is not None
    assert found.problem == f"/runs/a cannot be used: {os.strerror(number)}."
    assert found.remedy


def test_a_full_disk_is_known_by_what_others_make_of_it() -> None:
    found = refused_by_system(RuntimeError("/a/b; No space left on device [Op:SaveV2]"))
    assert found is not None
    assert "No space left on device" in found.problem
    assert refused_by_system(OSError(errno.EPIPE, "Broken pipe")) is None
    assert refused_by_system(ValueError("no space")) is None
