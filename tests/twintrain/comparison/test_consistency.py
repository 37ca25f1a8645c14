from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from twintrain.comparison.comparison import Comparison
from twintrain.comparison.consistency import faults_in

TEXT = (REPOSITORY / "docs" / "example" / "comparison.json").read_text(encoding="utf-8")
Tree = dict[str, Any]


def test_a_comparison_as_it_was_written_fits_together() -> None:
    assert faults_in(Comparison.model_validate_json(TEXT)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda tree: tree["slices"][1].update(fit_score=float("nan")), r"^slices\.1\.fit_sco"),
        (lambda tree: tree["slices"][0].update(n=10**400), r"^slices\.0\.n is no figure"),
        (lambda tree: tree["slices"].clear(), "no seed or no slice"),
        (lambda tree: tree["slices"][2]["seeds"].pop(), "the slice label=1 is of other seeds"),
        (lambda tree: tree["parity"]["seeds"].reverse(), r"parity\.seeds are of other seeds"),
        (lambda tree: tree["twins"].pop("loop"), r"twins\.loop is missing"),
        (lambda tree: tree["twins"]["fit"]["epochs"].pop(), "another number of seeds"),
        (lambda tree: tree["twins"]["fit"]["history"][1].pop("loss"), "other figures for one seed"),
        (lambda tree: tree["confusion"]["fit"].pop(), "no matrix of the 10 labels"),
        (lambda tree: tree["label_names"].pop(), "no matrix of the 9 labels"),
        (lambda tree: tree["disagreements"][0].update(loop=10), r"disagreements\.0 is about"),
        (lambda tree: tree["data"].pop("train"), r"data\.train is missing"),
        (lambda tree: tree["data"].update(eval=3), "does not say how many"),
        (lambda tree: tree["data"]["eval"]["labels"].update(x=3), "a label without a name"),
        (lambda tree: tree["data"]["eval"]["labels"].update({"1": "a"}), "are no counts"),
        (lambda tree: tree["twins"]["fit"]["trials"].append({}), "do not have the same figures"),
        (lambda tree: tree["recipe"].pop("tuning"), r"recipe\.tuning\.trials is missing"),
    ],
)
def test_what_does_not_fit_is_named(change: Callable[[Tree], object], fault: str) -> None:
    tree = json.loads(TEXT)
    if not tree["twins"]["fit"]["trials"]:
        trial = {"trial": 0, "val_loss": 0.5, "learning_rate": 0.001}
        tree["twins"]["fit"]["trials"] = [trial]
    change(tree)
    found = faults_in(Comparison.model_validate_json(json.dumps(tree)))
    assert any(re.search(fault, said) for said in found), found
