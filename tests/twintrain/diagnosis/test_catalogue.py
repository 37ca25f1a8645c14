"""The catalogue."""

from __future__ import annotations

import ast

import pytest

from twintrain.diagnosis.catalogue import by_id, catalogue, order
from twintrain.errors import TwintrainError


def test_every_entry_is_complete_and_its_example_is_python() -> None:
    assert len(catalogue()) == 35
    assert len({pitfall.id for pitfall in catalogue()}) == 35
    for pitfall in catalogue():
        ast.parse(pitfall.example)
        assert all(link.startswith("https://") for link in pitfall.links)
        assert by_id(pitfall.id) is pitfall
    assert (
        order("different_initial_weights")
        < order("training_flag_missing")
        < order("best_weights_not_restored")
    )


def test_a_misspelt_id_is_helped() -> None:
    with pytest.raises(TwintrainError, match="Did you mean 'loss_reduction'"):
        by_id("loss_reducton")
