"""Recipes that are odd as files."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.odd_inputs import NEARLY_RIGHT, refusal
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe


@pytest.mark.parametrize("reader", ["recipe", "--set"])
@NEARLY_RIGHT
@given(random=st.randoms())
def test_a_recipe_that_is_nearly_right_is_taken_or_refused(reader: str, random: Random) -> None:
    told = refusal(reader, random)
    assert told is None or told.problem.strip()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends: "a\\0b"', r"No recipe called '.*a\\x00b'"),
        ("extends: " + "x" * 5000, r"No recipe called '.*xxx"),
        ("extends: /dev/zero", "has more than 800,000 bytes"),
        ("training: &t {epochs: 3}\nloop: *t", "line 2, column 7: aliases"),
        ("name: a\nname: b", "the key 'name' is there twice"),
        ("loop: {" + "a: {" * 40, "nested deeper"),
        ("- 1", "holds list, not keys"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_a_recipe_must_not_hold_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(TwintrainError, match=said):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_circle_through_ever_longer_names_is_a_circle(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.yaml").write_text("extends: ../here/a.yaml")
    with pytest.raises(TwintrainError, match="extends itself"):
        load_recipe(tmp_path / "here" / "a.yaml")


def test_recipes_in_a_row_have_an_end(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml")
    with pytest.raises(TwintrainError, match="extends more than 20 others"):
        load_recipe(tmp_path / "0.yaml")
    assert load_recipe(_ending(tmp_path, 15)).name == "end"


def _ending(folder: Path, number: int) -> Path:
    (folder / f"{number}.yaml").write_text("name: end")
    return folder / "0.yaml"


def test_what_a_shell_hands_on_that_is_no_text_is_told() -> None:
    with pytest.raises(TwintrainError, match=r"--set 'na\\udcff=3' is not text"):
        load_recipe("standard", ["na\udcff=3"])


def test_a_key_of_a_thousand_parts_is_none() -> None:
    with pytest.raises(TwintrainError, match="no key has so many parts") as caught:
        load_recipe("standard", [".".join(["loop"] * 1000) + "=1"])
    assert len(str(caught.value)) < 500
