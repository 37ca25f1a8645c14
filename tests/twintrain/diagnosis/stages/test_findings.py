"""Causes are those of the catalogue, and each check declares what it looks for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import pair_of
from twintrain.diagnosis.catalogue import Stage, by_id
from twintrain.diagnosis.stages.findings import Findings, by_reading, by_replay, say
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.errors import TwintrainError


def test_a_cause_has_stage_and_fix_of_the_catalogue() -> None:
    findings = Findings()
    findings.name_cause("loss_reduction", "custom_loop", 3, by_reading("loss", 2.0, 1.0))
    (cause,) = findings.causes
    assert (cause.first_visible, cause.step) == (Stage.LOSS, 3)
    assert cause.fix == by_id("loss_reduction").fix
    assert cause.model_dump(mode="json")["first_visible"] == "loss"


def test_a_cause_may_show_at_another_stage() -> None:
    findings = Findings()
    findings.name_cause("mask_ignored", "custom_loop", 0, stage=Stage.FORWARD)
    assert findings.causes[0].first_visible is Stage.FORWARD


def test_the_first_time_counts() -> None:
    findings = Findings()
    findings.name_cause("loss_reduction", "custom_loop", 0)
    findings.name_cause("loss_reduction", "keras_fit", 1)
    assert [(cause.side, cause.step) for cause in findings.causes] == [("custom_loop", 0)]
    assert findings.has("mask_ignored", "loss_reduction")
    assert not findings.has("mask_ignored")


def test_an_id_that_is_not_in_the_catalogue_is_refused() -> None:
    with pytest.raises(TwintrainError, match="Did you mean 'loss_reduction'"):
        Findings().name_cause("loss_reducton", "custom_loop", 0)
    with pytest.raises(TwintrainError, match="Did you mean 'loss_reduction'"):
        looks_for("loss_reducton")


@pytest.mark.parametrize("could", [True, False])
def test_a_check_rules_out_what_it_declares_where_it_could_look(could: bool) -> None:
    @looks_for("loss_reduction", "mask_ignored")
    def check(pair: Pair) -> bool:
        return could

    pair = pair_of()
    assert check(pair) is could
    assert pair.findings.ruled_out == ({"loss_reduction", "mask_ignored"} if could else set())


def test_what_is_looked_at_again_is_told_as_it_was_seen_then() -> None:
    findings = Findings()
    findings.not_compared("logs", "batches come in another order", open_=False)
    findings.compared("logs", "loss")
    findings.compared("logs", "loss")
    findings.not_compared("tf.function", "raises as plain Python", open_=True)
    findings.compared("tf.function", "24 epochs")
    for side in ("keras_fit", "custom_loop"):
        findings.not_compared("epochs", f"{side} was stopped", open_=True)
    assert [(look.what, look.said) for look in findings.looks] == [
        ("logs", "loss"),
        ("tf.function", "raises as plain Python"),
        ("tf.function", "24 epochs"),
        ("epochs", "keras_fit was stopped"),
        ("epochs", "custom_loop was stopped"),
    ]


def test_figures_are_rounded_for_reading() -> None:
    assert say(np.float32(1) / 3) == "0.333333"
    assert say(None) == "None"
    row = by_replay("rate", 0.1, "0.1 by hand", 1e-7)
    assert (row.observed, row.replayed, row.correct) == ("0.1", "0.1 by hand", "1e-07")
