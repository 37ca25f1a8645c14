"""Twintrain: train one model twice, and settle whether, how much and why the two trainings differ.

    import twintrain

    recipe = twintrain.load_recipe("standard", ["seeds=[0,1]"])
    train = twintrain.examples(x_train, y_train)          # float32 [n, height, width, channels]
    test = twintrain.examples(x_test, y_test)
    problem = twintrain.find_problem(recipe, twintrain.labelled_images(x_train.shape[1:], 10))
    comparison = twintrain.compare(recipe, problem, train, test)
    comparison.sentence

- `load_recipe`, `Recipe`: every training decision, in one validated object that both twins obey.
- `Problem`, `find_problem`, `labelled_images`, `columns_of`, `examples`: the task, and the examples
  it is about.
- `compare`, `Comparison`, `write_report`, `load`: both twins, trained and held against each other.
- `lockstep`: the twins side by side, step by step, tensor by tensor.
- `diagnose`: why a loop and `fit` differ, in code that Twintrain never saw; `assert_same_training`:
  the same in a test. In a notebook: `%load_ext twintrain`, then `%%diagnose` over a cell.
- `explain`, `Question`: which practice is worth how many points.

`help(twintrain.compare)` and the others say more. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twintrain import showing
from twintrain.version import __version__ as __version__

with suppress(ImportError):  # a Python may come without it
    # Before TensorFlow, which brings an SQLite of its own, without FTS5 and R*Tree: the first that
    # is loaded serves the whole process, and people's queries are read in it.
    import sqlite3  # noqa: F401

if TYPE_CHECKING:
    from twintrain.attribution.experiment import Question as Question
    from twintrain.attribution.experiment import explain as explain
    from twintrain.comparison.compare import compare as compare
    from twintrain.comparison.comparison import Comparison as Comparison
    from twintrain.data.arrays import columns_of as columns_of
    from twintrain.data.arrays import examples as examples
    from twintrain.data.example_spec import labelled_images as labelled_images
    from twintrain.diagnosis.api import assert_same_training as assert_same_training
    from twintrain.diagnosis.api import diagnose as diagnose
    from twintrain.errors import TwintrainError as TwintrainError
    from twintrain.parity.lockstep import lockstep as lockstep
    from twintrain.problems.find import find_problem as find_problem
    from twintrain.problems.problem import Problem as Problem
    from twintrain.recipe.files import load_recipe as load_recipe
    from twintrain.recipe.recipe import Recipe as Recipe
    from twintrain.report.notebook import load as load
    from twintrain.report.render import write_report as write_report

# Where each name lives. TensorFlow takes seconds to import: not before it is needed.
_HOMES = {
    "Comparison": "comparison.comparison",
    "Problem": "problems.problem",
    "Question": "attribution.experiment",
    "Recipe": "recipe.recipe",
    "TwintrainError": "errors",
    "columns_of": "data.arrays",
    "compare": "comparison.compare",
    "assert_same_training": "diagnosis.api",
    "diagnose": "diagnosis.api",
    "examples": "data.arrays",
    "explain": "attribution.experiment",
    "find_problem": "problems.find",
    "labelled_images": "data.example_spec",
    "load": "report.notebook",
    "load_recipe": "recipe.files",
    "lockstep": "parity.lockstep",
    "write_report": "report.render",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'twintrain' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"twintrain.{_HOMES[name]}"), name)
    globals()[name] = found  # asked once
    return found


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext twintrain`: `%%diagnose` over a cell diagnoses what it trains."""

    def diagnose_cell(line: str, cell: str) -> Any:
        from twintrain.diagnosis.api import diagnose_cells

        del line
        before = [text for text in shell.user_ns.get("In", [])[:-1] if "%%diagnose" not in text]
        return diagnose_cells([*before, cell], report=print)

    shell.register_magic_function(diagnose_cell, "cell", "diagnose")


def _draw(result: Any) -> str:
    from twintrain.report.notebook import html_of

    return html_of(result)


showing.draw_with(_draw)


def __dir__() -> list[str]:
    return sorted(__all__)
