"""What is said of files before anything is run."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.odd_inputs import NEARLY_RIGHT, refusal
from tests.twintrain.diagnosis.scripts.scripts_of_people import DATA, FIT
from tests.twintrain.diagnosis.watch.test_user_module import GOOD
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.result import Cause, Diagnosis, Place
from twintrain.diagnosis.scripts.notebook import in_cells
from twintrain.diagnosis.scripts.source import look, read
from twintrain.errors import TwintrainError


def written(folder: Path, text: str, name: str = "train.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:", r"does not parse: .* \(line 1\)"),
        ("model.fit(" + "-" * 150_000 + "1)", "nested too deep for Python|too many nested"),
        ("x = " + "+".join("a" * 400) + "\nmodel.fit()", r"deeper than 200 levels \(line 1\)"),
        ("print(1)", "trains nothing: no fit"),
        ("def build_model(): ...\ndef make_dataset(s): ...", "no function keras_fit, custom_loop"),
        ("import tf_keras\ntf_keras.Model().fit()", r"tf_keras \(Keras 2\)"),
        ("import os\nos.environ['KERAS_BACKEND'] = 'torch'\nm.fit()", "the torch backend"),
        ("tf.compat.v1.Session().run(x)\nfit", "TensorFlow 1 graphs"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_diagnosed_is_said_at_once(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TwintrainError, match=said):
        look([written(tmp_path, text)])


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    paths = [written(tmp_path, "print(1)", name) for name in ("a.py", "b.py")]
    with pytest.raises(TwintrainError, match=r"a\.py trains nothing.* .*b\.py trains nothing"):
        look(paths)


@pytest.mark.parametrize("name", ["a.txt", "nowhere.py"])
def test_only_python_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text(FIT)
    with pytest.raises(TwintrainError, match=r"is not a Python file|There is no file"):
        look([tmp_path / name])


def test_what_trains_may_stand_in_a_module_beside(tmp_path: Path) -> None:
    written(tmp_path, "def go(model): model.fit()", "helper.py")
    assert look([written(tmp_path, "from helper import go\ngo(1)")])


def test_four_functions_are_told_from_a_script(tmp_path: Path) -> None:
    assert look([written(tmp_path, GOOD)])[0].is_functions
    assert not look([written(tmp_path, DATA + FIT)])[0].is_functions


def notebook(folder: Path, *cells: str, language: str = "python") -> Path:
    content = {
        "nbformat": 4,
        "metadata": {"kernelspec": {"language": language}},
        "cells": [
            {"cell_type": "markdown", "source": ["# a title"]},
            *({"cell_type": "code", "source": cell.splitlines(True)} for cell in cells),
        ],
    }
    return written(folder, json.dumps(content), "notebook.ipynb")


def test_a_notebook_is_its_code_without_magics(tmp_path: Path) -> None:
    cells = ("%matplotlib inline\nx = 1", "%%bash\nls", "files = !ls\n!pip list\ny = 2")
    path = notebook(tmp_path, *cells)
    found = read(path)
    assert found.text == "pass\nx = 1\n\n\nfiles = []\npass\ny = 2\n"
    assert found.cells == ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3))
    assert found.left_out == ("%matplotlib inline", "%%bash", "files = !ls", "!pip list")


def test_a_line_of_a_notebook_is_named_by_its_cell(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="code cell 2, line 2"):
        read(notebook(tmp_path, "x = 1", "y = 2\nz = ("))
    with pytest.raises(TwintrainError, match="notebook of julia"):
        read(notebook(tmp_path, "x = 1", language="julia"))
    with pytest.raises(TwintrainError, match="is not a notebook"):
        read(written(tmp_path, "{", "broken.ipynb"))


def test_a_place_in_a_notebook_is_told_by_its_cell(tmp_path: Path) -> None:
    source = read(notebook(tmp_path, "x = 1", "y = 2\nmodel(x)"))
    place = Place(file="notebook.ipynb.py", line=3, code="model(x)")
    cause = Cause(
        id="training_flag_missing",
        side="custom_loop",
        first_visible=Stage.FORWARD,
        step=1,
        evidence=[],
        places=[place, place.model_copy(update={"file": "helper.py"})],
    )
    found = Diagnosis.model_construct(causes=[cause])
    told = in_cells(found, [source]).causes[0].places
    assert (told[0].file, told[0].line) == ("notebook.ipynb (code cell 2)", 2)
    assert (told[1].file, told[1].line) == ("helper.py", 3)


@NEARLY_RIGHT
@given(random=st.randoms())
def test_a_script_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("script", random)
    assert told is None or told.problem.strip()
