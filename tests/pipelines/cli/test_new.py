"""`twintrain new` and `twintrain schema`: files that can be run at once, and what is said of data
that cannot be.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from tests.twintrain.data.importing.images import put
from twintrain.data.example_spec import labelled_images
from twintrain.errors import TwintrainError
from twintrain.problems.find import find_problem
from twintrain.problems.user_problem import read_module
from twintrain.recipe.files import load_recipe


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "") == str(tmp_path / f"{name}.py"):
            del sys.modules[name]


def write(path: Path, rows: int = 60, **columns: object) -> Path:
    made = {
        "row": lambda n: f"r{n}",
        "when": lambda n: f"2024-02-{n % 28 + 1:02d}",
        "town": lambda n: "abc"[n % 3],
        "month": lambda n: n % 12 + 1,
        "size": lambda n: "" if n % 6 == 0 else n * 1.5,
        "said": lambda n: f"some words of row {n % 7}",
        "late": lambda n: ["no", "yes"][n % 4 == 0],
        "leak": lambda n: int(n % 4 == 0),
        "delay": lambda n: n * 0.25,
    } | columns
    lines = [",".join(made), *(",".join(str(of(n)) for of in made.values()) for n in range(rows))]
    path.write_text("\n".join(lines) + "\n")
    return path


def twintrain(*arguments: str) -> Result:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_table_becomes_a_problem_that_can_be_read(home: Path) -> None:
    write(home / "rows.csv")
    done = twintrain("new", "trains", "--data", "rows.csv", "--label", "late")
    assert done.exit_code == 0
    assert "leak tells the same as late in every row" in done.output.replace("\n", " ")
    assert "twintrain run --quick --problem trains.py --data rows.csv" in done.output
    columns = read_module("trains").columns
    assert (columns.labels, columns.categories, columns.text) == (("late",), ("month",), ("said",))
    assert set(columns.ignore) == {"row", "when", "leak"}
    assert columns.slices == (("said",), ("town",))
    assert read_module("trains").statement.task.NAME == "binary"
    recipe = load_recipe(home / "rows.recipe.yaml")
    assert (recipe.name, recipe.comparison.threshold) == ("trains", None)
    assert (home / "rows.schema.pbtxt").read_text().startswith("# What the pipeline accepts")


def test_a_number_gets_a_margin_and_a_unit(home: Path) -> None:
    write(home / "rows.csv")
    twintrain("new", "delays", "--data", "rows.csv", "--label", "delay", "--unit", "minutes")
    stated = read_module("delays").statement
    assert (stated.task.NAME, stated.task.metric.unit) == ("regression", "minutes")
    margin = load_recipe(home / "rows.recipe.yaml").comparison.margin
    assert margin is not None
    assert 0 < margin < 1


def test_what_is_compared_can_be_chosen(home: Path) -> None:
    write(home / "rows.csv")
    twintrain("new", "trains", "--data", "rows.csv", "--label", "late", "--metric", "auc")
    assert read_module("trains").statement.task.metric.name == "ROC AUC"
    assert load_recipe(home / "rows.recipe.yaml").comparison.margin == 0.005
    asked = ("new", "rails", "--data", "rows.csv", "--label", "late", "--metric", "rmse", "--force")
    with pytest.raises(TwintrainError, match="binary has no metric 'rmse'"):
        twintrain(*asked)


def test_several_labels_become_one_task(home: Path) -> None:
    rows = "".join(f"{n // 2},{n % 2},{int(n % 3 > 0)},{int(n % 3 > 0)}\n" for n in range(60))
    (home / "visits.csv").write_text("age,wet,cold,chilly\n" + rows)
    asked = ("--label", "wet", "--label", "cold")
    done = twintrain("new", "visits", "--data", "visits.csv", *asked)
    stated = read_module("visits")
    assert (stated.statement.task.NAME, stated.columns.labels) == ("multilabel", ("wet", "cold"))
    assert stated.columns.ignore == ("chilly",)
    assert "chilly tells the same as cold in every row" in done.output.replace("\n", " ")
    assert load_recipe(home / "visits.recipe.yaml").comparison.margin == 0.1


def test_what_is_there_is_not_replaced(home: Path) -> None:
    write(home / "rows.csv")
    (home / "trains.py").write_text("mine")
    with pytest.raises(TwintrainError, match=r"trains\.py already"):
        twintrain("new", "trains", "--data", "rows.csv", "--label", "late")
    assert (home / "trains.py").read_text() == "mine"
    assert not (home / "rows.recipe.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--label", "lat"), "no column 'lat'"),
        (("--label", "late", "--task", "guess"), "no task is called 'guess'"),
        (("--label", "size"), "10 of 60 rows have no 'size'"),
        (("--label", "late", "--task", "regression"), "holds text ('no')"),
        (("--label", "delay", "--task", "binary"), "numbers with fractions"),
        (("--label", "late", "--label", "month"), "'month' holds 1, 2, 3"),
        (("--label", "late", "--label", "late"), "a column twice"),
        (("--label", "late", "--label", "month", "--task", "binary"), "names 2 columns, and the"),
        (("--label", "late", "--task", "multilabel"), "names 1 column, and the task is multilabel"),
    ],
)
def test_what_cannot_be_is_said(arguments: tuple[str, ...], expected: str, home: Path) -> None:
    write(home / "rows.csv")
    with pytest.raises(TwintrainError) as error:
        twintrain("new", "odd", "--data", "rows.csv", *arguments)
    assert expected in str(error.value)
    assert not (home / "odd.py").exists()


def test_a_schema_is_compared_with_other_data(home: Path) -> None:
    write(home / "rows.csv")
    twintrain("new", "towns", "--data", "rows.csv", "--label", "late")
    same = twintrain("schema", "diff", "--problem", "towns.py", "--data", "rows.csv")
    assert (same.exit_code, "is what the schema says" in same.output) == (0, True)
    write(home / "rows.csv", late=lambda n: ["no", "yes", "off"][n % 3], town=lambda n: "")
    done = twintrain("schema", "diff", "--problem", "towns.py", "--data", "rows.csv")
    assert done.exit_code == 4
    assert "late: has off, which the schema does not name" in done.output
    assert "town: missing in some rows" in done.output
    with pytest.raises(TwintrainError, match="Neither --problem nor the recipe"):
        twintrain("schema", "diff", "--data", "rows.csv")
    recipe = home / "rows.recipe.yaml"
    recipe.write_text(recipe.read_text() + "problem: {module: towns}\n")
    assert twintrain("schema", "diff", "--data", "rows.csv").output == done.output
    before = (home / "rows.schema.pbtxt").read_text()
    with pytest.raises(TwintrainError, match="3 classes of late, and the task is binary"):
        twintrain("schema", "accept", "--problem", "towns.py", "--data", "rows.csv")
    assert (home / "rows.schema.pbtxt").read_text() == before
    write(home / "rows.csv", town=lambda n: "", size=lambda n: "much")
    taken = twintrain("schema", "accept", "--problem", "towns.py", "--data", "rows.csv")
    assert (taken.exit_code, "Accepted, and written to" in taken.output) == (0, True)
    for command in ("diff", "accept"):
        same = twintrain("schema", command, "--problem", "towns.py", "--data", "rows.csv")
        assert (same.exit_code, "is what the schema says" in same.output) == (0, True)


def test_a_schema_is_not_replaced_unless_asked(home: Path) -> None:
    write(home / "rows.csv")
    twintrain("new", "again", "--data", "rows.csv", "--label", "late")
    with pytest.raises(TwintrainError, match="There is a schema already"):
        twintrain("schema", "infer", "--problem", "again.py", "--data", "rows.csv")
    forced = twintrain("schema", "infer", "--problem", "again.py", "--data", "rows.csv", "--force")
    assert forced.exit_code == 0
    assert "9 columns, 60 rows" in forced.output


def test_a_problem_needs_its_data(home: Path) -> None:
    (home / "mine.py").write_text('TASK = "binary"\nLABEL = "late"\n')
    with pytest.raises(TwintrainError, match="--problem needs --data"):
        twintrain("run", "--problem", "mine.py")
    with pytest.raises(TwintrainError, match="There is no data at"):
        twintrain("run", "--problem", "mine.py", "--data", "nowhere.csv")
    with pytest.raises(TwintrainError, match=r"there is no Python file 'none\.py'"):
        twintrain("run", "--problem", "none.py", "--data", "rows.csv")


def put_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 6)):
        for label in ("round", "square"):
            for number in range(count):
                pixels = rng.integers(0, 255, (9, 8, 3)).astype(np.uint8)
                put(folder / split / label / f"{number}.png", pixels)


@pytest.mark.parametrize("kind", [(), ("--kind", "image")])
def test_images_become_data_a_model_and_a_recipe(home: Path, kind: tuple[str, ...]) -> None:
    put_images(home / "photos")
    done = twintrain("new", "shapes", *kind, "--data", "photos")
    assert done.exit_code == 0, done.output
    command = "twintrain run --quick --data data/shapes --recipe shapes.recipe.yaml"
    assert f"PYTHONPATH=. {command}" in done.output
    recipe = load_recipe(home / "shapes.recipe.yaml")
    assert recipe.data.image_shape == (9, 8, 3)
    assert recipe.comparison.label_names == ("round", "square")
    sys.path.insert(0, str(home))
    problem = find_problem(recipe, labelled_images((9, 8, 3), 2))
    assert problem.build_model(recipe).output_shape == (None, 2)
    # Once more, of the data that is there now.
    twintrain("new", "shapes", *kind, "--data", "data/shapes", "--force")
    assert load_recipe(home / "shapes.recipe.yaml") == recipe
    with pytest.raises(TwintrainError, match=r"There is shapes\.py already"):
        twintrain("new", "shapes", *kind, "--data", "data/shapes")


def test_a_kind_that_does_not_fit_the_data_is_said(home: Path) -> None:
    write(home / "rows.csv", said=lambda n: "word")
    with pytest.raises(TwintrainError, match=r"no column of rows\.csv has texts"):
        twintrain("new", "trains", "--kind", "text", "--data", "rows.csv", "--label", "late")
    with pytest.raises(TwintrainError, match="--label is missing"):
        twintrain("new", "trains", "--kind", "table", "--data", "rows.csv")
    with pytest.raises(TwintrainError, match="--label is for tables"):
        twintrain("new", "trains", "--kind", "image", "--data", "photos", "--label", "late")
    assert list(home.iterdir()) == [home / "rows.csv"]


def test_texts_are_taken_word_by_word(home: Path) -> None:
    write(home / "rows.csv")
    assert (
        twintrain(
            "new", "trains", "--kind", "text", "--data", "rows.csv", "--label", "late"
        ).exit_code
        == 0
    )
    assert read_module("trains").columns.text == ("said",)
