from __future__ import annotations

import numpy as np
import pytest

from twintrain.attribution.analysis import (
    Measured,
    estimate_interactions,
    estimate_shares,
    restore,
    sentence,
)
from twintrain.attribution.design import Design, designs
from twintrain.attribution.practices import Practice
from twintrain.problems.metric import ACCURACY

PRACTICES = [Practice(name, {f"x.{name}": (False, True)}) for name in ("a", "b", "c")]


def answers(
    design: Design, effects: dict[int, float], seeds: int, examples: int, seed: int = 0
) -> Measured:
    """Right or wrong of models whose accuracy is 0.9 plus what the practices switched on add."""
    rng = np.random.default_rng(seed)
    accuracy = 0.9 + design.runs @ np.array(
        [effects.get(i, 0.0) for i in range(design.runs.shape[1])]
    )
    right = rng.uniform(size=(len(accuracy), seeds, examples)) < accuracy[:, None, None]
    return Measured(ACCURACY, right.astype(np.float64))


def test_a_planted_effect_is_named_and_the_shares_add_up() -> None:
    design = designs(3)[0]
    measured = answers(design, {1: -0.05}, seeds=5, examples=4000)
    shares = estimate_shares(measured, design, PRACTICES)
    ends = np.zeros(len(design.runs))
    ends[:2] = -1, 1
    gap, interval = measured.in_its_unit(measured.weighed(ends))
    assert sum(share.worth for share in shares) == pytest.approx(gap, abs=1e-9)
    assert [share.practice for share in shares if share.named] == ["b"]
    assert shares[1].ci95[0] < -5 < shares[1].ci95[1]
    text = sentence(measured, gap, interval, shares)
    assert "b accounts for -" in text
    assert "not told from chance: a" in text or "not told from chance: c" in text
    left = restore(measured, design, shares)
    assert left is not None
    assert left.practices == ["b"]
    assert left.ci95[0] < 0 < left.ci95[1]


@pytest.mark.in_turn(4)
def test_intervals_cover_known_shares() -> None:
    design, covered, rounds = designs(2)[0], 0, 200
    for seed in range(rounds):
        shares = estimate_shares(
            answers(design, {0: -0.03, 1: 0.01}, 4, 1000, seed), design, PRACTICES[:2]
        )
        covered += sum(
            s.ci95[0] <= truth <= s.ci95[1] for s, truth in zip(shares, (-3.0, 1.0), strict=True)
        )
    assert 0.92 <= covered / (2 * rounds) <= 0.985


def test_an_interaction_is_found_where_there_is_one() -> None:
    design = designs(2)[0]
    rng = np.random.default_rng(0)
    accuracy = 0.9 - 0.1 * design.runs.all(axis=1)
    right = rng.uniform(size=(4, 4, 3000)) < accuracy[:, None, None]
    measured = Measured(ACCURACY, right.astype(np.float64))
    (pair,) = estimate_interactions(measured, design, PRACTICES[:2])
    assert pair.practices == ("a", "b")
    assert pair.p_value < 0.05
    assert pair.ci95[0] < -10 < pair.ci95[1]
    shares = estimate_shares(measured, design, PRACTICES[:2])
    assert shares[0].worth == pytest.approx(-5, abs=1)


def test_nothing_is_named_by_chance() -> None:
    design = designs(2)[0]
    measured = answers(design, {}, 3, 500)
    shares = estimate_shares(measured, design, PRACTICES[:2])
    assert not any(share.named for share in shares)
    assert "can be told from chance" in sentence(measured, 0.1, (-1.0, 1.0), shares)
    one_seed = Measured(ACCURACY, measured.scores[:, :1])
    assert "seeds were not varied" in sentence(one_seed, 0.1, (-1.0, 1.0), shares)
    assert restore(answers(design, {}, 3, 500), design, shares) is None
