"""Notebooks that are nearly right."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.odd_inputs import NEARLY_RIGHT, refusal
from twintrain.diagnosis.scripts.notebook import read_notebook
from twintrain.errors import TwintrainError


@NEARLY_RIGHT
@given(random=st.randoms())
def test_a_notebook_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("notebook", random)
    assert told is None or told.problem.strip()


@pytest.mark.parametrize(
    "content",
    [
        '{"cells": ' + "[" * 100_000,
        '{"cells": ' + "9" * 5000 + "}",
        json.dumps({"cells": [], "metadata": None}),
        json.dumps({"cells": [], "metadata": {"kernelspec": []}}),
        json.dumps({"worksheets": []}),
        json.dumps({"cells": [{"cell_type": "code", "source": [1]}]}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_json_of_another_kind_is_no_notebook(tmp_path: Path, content: str) -> None:
    (tmp_path / "n.ipynb").write_text(content)
    with pytest.raises(TwintrainError, match="is not a notebook: ") as caught:
        read_notebook(tmp_path / "n.ipynb")
    assert len(str(caught.value)) < 500
