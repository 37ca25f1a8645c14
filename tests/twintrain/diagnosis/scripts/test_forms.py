"""One module in each of six forms of people's, drawn with a seed, three wrong and three correct,
through the command; all of them in `benchmarks/forms.py`, which takes hours.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.diagnosis_sets import modules
from benchmarks.form_expectations import expectation
from benchmarks.form_files import write_all
from benchmarks.form_source import read_module
from benchmarks.forms import case, line_of
from tests.turns import dealt_out

# The set that a form's module is drawn from.
FORMS = {
    "script": "reported",
    "two_scripts": "correct",
    "notebook": "correct",
    "trainer_class": "reported",
    "main_argparse": "correct",
    "train_step": "reported",
}
SEED = 1


def draws(form: str) -> list[Path]:
    """Modules in an order of chance, the same in every run; only those with something to tell."""
    kind = FORMS[form]
    told = [p for p in modules(kind) if not expectation(form, kind, p.stem).silence]
    return random.Random(f"{SEED} {form}").sample(told, len(told))


@pytest.mark.parametrize("form", dealt_out(tuple(FORMS), first=1))
def test_the_verdict_is_that_of_the_module(form: str, tmp_path: Path) -> None:
    for path in draws(form):
        files, _ = write_all(tmp_path, [form], [read_module(path)])
        if files:
            break  # the first that can be brought into that form
    ((job, group),) = files.items()
    found = case(job, group, FORMS[form])
    assert found["outcome"] == "right", line_of(found)
