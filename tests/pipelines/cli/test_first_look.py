from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pipelines.cli.first_look import (
    labels_of,
    look,
    look_at_images,
    look_at_root,
    look_for_functions,
    names_bound_in,
)
from tests.conftest import DATA
from twintrain.data import idx
from twintrain.errors import TwintrainError
from twintrain.problems.find import MODELS
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe

SCHEMA = DATA / "schema.pbtxt"


def test_what_is_right_passes(idx_folder: Path) -> None:
    """The same call with one thing wrong is refused; as it is, it passes."""
    look(load_recipe("standard"), idx_folder, SCHEMA, [])
    look_at_images(DATA, (28, 28, 1))
    with pytest.raises(TwintrainError, match="10 labels"):
        look(load_recipe("standard", ["comparison.label_names=[a]"]), idx_folder, SCHEMA, [])


def test_data_that_does_not_fit_is_named(idx_folder: Path) -> None:
    with pytest.raises(TwintrainError, match=r"28 x 28 x 1, the recipe expects 32 x 32 x 3"):
        look_at_images(idx_folder, (32, 32, 3))
    labels = idx.find_pair(idx_folder, "eval").labels
    labels.write_bytes(gzip.compress(idx.header((3,)) + bytes(3)))
    with pytest.raises(TwintrainError, match=r"holds 30 images but .* holds 3 labels"):
        look_at_images(idx_folder)
    labels.unlink()
    with pytest.raises(TwintrainError, match="No file t10k-labels"):
        look_at_images(idx_folder)
    (idx_folder / "train-images-idx3-ubyte.gz").write_bytes(b"PNG")
    with pytest.raises(TwintrainError, match="is truncated"):
        look_at_images(idx_folder)


def test_a_root_is_made_or_refused(tmp_path: Path) -> None:
    look_at_root(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(TwintrainError, match="file cannot be written: File exists"):
        look_at_root(tmp_path / "file")


def test_colour_and_plain_files_are_seen(tmp_path: Path) -> None:
    for prefix in idx.SPLIT_PREFIXES.values():
        pixels = np.zeros((5, 4, 6, 3), np.uint8)
        (tmp_path / f"{prefix}-images-idx4-ubyte").write_bytes(
            idx.header(pixels.shape) + pixels.tobytes()
        )
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx.header((5,)) + bytes(5))
    look_at_images(tmp_path, (4, 6, 3))
    with pytest.raises(TwintrainError, match="holds images of 4 x 6 x 3"):
        look_at_images(tmp_path, (4, 6, 1))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("feature {", "feature [", "is not a schema in text form"),
        ('name: "example_id"', 'name: "id"', "lacks example_id."),
        ("int_domain { min: 0 max: 9 is_categorical: true }", "", "does not say which labels"),
        ("min: 0 max: 9", "min: 1 max: 10", "does not say which labels"),
    ],
)
def test_a_schema_that_cannot_work_is_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = SCHEMA.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "schema.pbtxt").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(TwintrainError, match=said):
        labels_of(tmp_path / "schema.pbtxt")


def test_labels_are_counted_and_named_or_not(idx_folder: Path) -> None:
    assert labels_of(SCHEMA) == 10
    recipe = load_recipe("standard", ["comparison.label_names=[a,b]"])
    with pytest.raises(TwintrainError, match="has 2 names, the data has 10 labels"):
        look(recipe, idx_folder, SCHEMA, [])
    with pytest.raises(TwintrainError, match=r"nowhere\.pbtxt cannot be read: No such file"):
        labels_of(Path("/nowhere.pbtxt"))


def named(field: str, name: str) -> Recipe:
    return load_recipe("standard", [f"{field}={name}"])


def test_a_built_in_model_is_known_by_name() -> None:
    for name in MODELS:
        look_for_functions(named("model.name", name), [])
    with pytest.raises(TwintrainError, match="Did you mean 'mlp'"):
        look_for_functions(named("model.name", "mpl"), [])


@pytest.mark.parametrize("field", ["model.name", "twins.loop"])
def test_a_module_is_found_and_never_run(tmp_path: Path, field: str) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('was run')\n")
    (package / "models.py").write_text("if True:\n    def build(recipe, shape, classes): ...\n")
    look_for_functions(named(field, "shop.models:build"), [str(tmp_path)])
    with pytest.raises(TwintrainError, match=r"module 'shop\.models' has no 'built'"):
        look_for_functions(named(field, "shop.models:built"), [str(tmp_path)])
    for name in ("shop.model:build", "shops:build", "shop.models.more:build"):
        with pytest.raises(TwintrainError, match=f"{field}: there is no module"):
            look_for_functions(named(field, name), [str(tmp_path)])


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(): ...", {"f"}),
        ("async def f(): ...\nclass C: ...", {"f", "C"}),
        ("import a.b\nfrom c import d as e", {"a", "e"}),
        ("f = g = partial(h)", {"f", "g"}),
        ("from x import *", None),
        ("def __getattr__(name): ...", None),
        ("def (", None),
    ],
)
def test_names_are_read_from_the_source(
    tmp_path: Path, source: str, names: set[str] | None
) -> None:
    (tmp_path / "m.py").write_text(source)
    assert names_bound_in(tmp_path / "m.py") == names


def test_what_is_no_source_says_nothing(tmp_path: Path) -> None:
    assert names_bound_in(tmp_path) is None
    assert names_bound_in(Path("/nowhere.so")) is None
