"""The catalogue."""

from __future__ import annotations

import ast
import json

import pytest
from pydantic import ValidationError

from benchmarks.planting import PLANTINGS
from twintrain.diagnosis.catalogue import Pitfall, Stage, by_id, catalogue, order
from twintrain.diagnosis.diagnose import CHECKS
from twintrain.diagnosis.stages.averaged_weights import check_average
from twintrain.diagnosis.stages.registry import LOOKED_FOR
from twintrain.diagnosis.stages.start import check_start
from twintrain.errors import TwintrainError


def test_every_entry_is_complete_and_its_example_is_python() -> None:
    ids = [pitfall.id for pitfall in catalogue()]
    assert len(ids) == len(set(ids)) >= 35
    for pitfall in catalogue():
        ast.parse(pitfall.example)
        assert all(link.startswith("https://") for link in pitfall.links)
        assert by_id(pitfall.id) is pitfall
    assert (
        order("different_initial_weights")
        < order("training_flag_missing")
        < order("best_weights_not_restored")
    )


def test_every_pitfall_is_looked_for_and_can_be_planted() -> None:
    ids = {pitfall.id for pitfall in catalogue()}
    assert set(CHECKS) >= {check_start, check_average}
    assert ids == LOOKED_FOR
    assert ids == set(PLANTINGS)
    assert all(planting.not_beside < ids for planting in PLANTINGS.values())


def test_a_stage_is_one_of_the_vocabulary_and_printed_as_its_word() -> None:
    entry = by_id("loss_reduction").model_dump()
    assert (str(entry["stage"]), f"{entry['stage']}", json.dumps(entry["stage"])) == (
        "loss",
        "loss",
        '"loss"',
    )
    with pytest.raises(ValidationError, match="stage"):
        Pitfall(**entry | {"stage": "gradient"})
    assert {pitfall.stage for pitfall in catalogue()} == set(Stage)


def test_a_misspelt_id_is_helped() -> None:
    with pytest.raises(TwintrainError, match="Did you mean 'loss_reduction'"):
        by_id("loss_reducton")
