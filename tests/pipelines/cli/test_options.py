from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli.options import bundled_data, chosen
from tests.conftest import REPOSITORY
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text("extends: bare\nname: shop\ndata: {limit: 700}\n")
    (tmp_path / "schema.pbtxt").write_text("# of the shop\n")
    return tmp_path


def test_nothing_named_is_the_standard_recipe_on_mnist() -> None:
    choice = chosen(None, None, None, False, None)
    assert choice.recipe == load_recipe("standard")
    assert choice.recipe_source == "standard"
    assert choice.data == bundled_data() == REPOSITORY / "data"
    assert choice.schema_file == REPOSITORY / "data" / "schema.pbtxt"


def test_recipe_and_schema_beside_the_data_are_taken(data: Path) -> None:
    choice = chosen(data, None, ["training.epochs=7"], False, None)
    assert (choice.recipe.name, choice.recipe.data.limit) == ("shop", 700)
    assert choice.recipe.training.epochs == 7
    assert choice.recipe_source == str(data / "recipe.yaml")
    assert choice.schema_file == data / "schema.pbtxt"


def test_what_is_named_wins(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pbtxt"
    choice = chosen(data, "textbook", None, False, other)
    assert choice.recipe == load_recipe("textbook")
    assert choice.schema_file == other


def test_spans_share_what_lies_beside_them(data: Path) -> None:
    (data / "span-1").mkdir()
    assert chosen(data, None, None, False, None).recipe.name == "shop"


def test_quick_gives_way_to_set(data: Path) -> None:
    quick = chosen(data, None, ["seeds=[5]"], True, None).recipe
    assert quick.data.limit == 6000
    assert quick.seeds == (5,)
    assert quick.tuning.trials == 0
    applied = chosen(data, None, ["tuning.apply=true"], True, None).recipe
    assert (applied.tuning.trials, applied.tuning.examples) == (2, 1000)


def test_a_recipe_beside_the_data_that_cannot_be_is_named(data: Path) -> None:
    (data / "recipe.yaml").write_text("training: {epoch: 3}\n")
    with pytest.raises(TwintrainError, match=r"recipe\.yaml\) is not valid"):
        chosen(data, None, None, False, None)


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        ("extends: visits\nname: mine\n", "`twintrain data fetch visits` gets it."),
        ("name: late\nproblem: {module: late}\n", "Name it: --data TABLE"),
    ],
)
def test_a_recipe_for_tables_needs_one(lines: str, remedy: str, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(lines)
    with pytest.raises(TwintrainError, match="--data names none") as error:
        chosen(None, str(recipe), None, False, None)
    assert error.value.remedy == remedy


def test_of_a_recipe_for_tables_the_schema_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("extends: visits\n")
    choice = chosen(tmp_path, None, None, False, None)
    assert choice.schema_file == tmp_path / "schema.pbtxt"
