"""Which changes of the library make a training another one; on a copy of its sources."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from twintrain.recipe.files import load_recipe
from twintrain.training import provenance
from twintrain.training.provenance import modules_of, training_digest

RECIPE = load_recipe("standard")


def copy(target: Path) -> Path:
    """The sources of the library, to be changed."""
    copied = target / "twintrain"
    shutil.copytree(provenance.LIBRARY, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the library whose digest is taken in the place of its own."""
    copied = copy(tmp_path)
    monkeypatch.setattr(provenance, "LIBRARY", copied)
    return copied


def append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("# another line\n")


def test_where_the_library_lies_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = training_digest(RECIPE)
    monkeypatch.setattr(provenance, "LIBRARY", copy(tmp_path))
    assert training_digest(RECIPE) == before


@pytest.mark.parametrize(
    "module",
    [
        "recipe/sections.py",
        "problems/image_models.py",
        "data/batches.py",
        "training/gradient_tape.py",
        "training/keras_fit.py",
    ],
)
def test_a_change_of_what_trains_counts(library: Path, module: str) -> None:
    before = training_digest(RECIPE)
    append(library / module)
    assert training_digest(RECIPE) != before


@pytest.mark.parametrize("room", provenance.TRAINING_ROOMS)
def test_a_new_module_in_a_room_that_trains_counts(library: Path, room: str) -> None:
    before = training_digest(RECIPE)
    (library / room / "new.py").touch()
    assert training_digest(RECIPE) != before


def test_no_other_room_counts(library: Path) -> None:
    before = training_digest(RECIPE)
    others = [
        path
        for path in library.rglob("*.py")
        if path.parent.relative_to(library).as_posix() not in provenance.TRAINING_ROOMS
    ]
    rooms = {path.relative_to(library).parts[0] for path in others}
    assert rooms >= {"comparison", "report", "diagnosis", "attribution", "trend"}
    assert library / "data" / "importing" / "folder.py" in others
    for path in others:
        append(path)
    assert training_digest(RECIPE) == before


def test_a_room_that_was_renamed_is_missed(library: Path) -> None:
    (library / "data").rename(library / "examples")
    with pytest.raises(FileNotFoundError, match="no room 'data'"):
        modules_of(provenance.TRAINING_ROOMS)
    with pytest.raises(FileNotFoundError):
        training_digest(RECIPE)


def test_the_module_of_a_users_model_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "model_of_a_user.py"
    module.write_text("def build(recipe, shape, classes): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = load_recipe("standard", ["model.name=model_of_a_user:build"])
    before = training_digest(mine)
    assert before != training_digest(RECIPE)
    append(module)
    assert training_digest(mine) != before
