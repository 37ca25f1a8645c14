from __future__ import annotations

import itertools

import numpy as np
import pyDOE3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twintrain.attribution import design as module
from twintrain.attribution.design import designs
from twintrain.errors import TwintrainError


def shapley(value: dict[tuple[int, ...], float], count: int) -> np.ndarray:
    """By definition: the mean over all orders of what each practice adds when its turn comes."""
    shares, orders = np.zeros(count), list(itertools.permutations(range(count)))
    for order in orders:
        on: tuple[int, ...] = ()
        for practice in order:
            after = tuple(sorted((*on, practice)))
            shares[practice] += value[after] - value[on]
            on = after
    return shares / len(orders)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_full_factorial_gives_shapley_values_by_definition(count: int) -> None:
    rng, design = np.random.default_rng(count), designs(count)[0]
    answers = rng.normal(size=len(design.runs))
    value = {
        tuple(np.nonzero(row)[0].tolist()): answer
        for row, answer in zip(design.runs, answers, strict=True)
    }
    assert design.kind == "full"
    np.testing.assert_allclose(design.shares @ answers, shapley(value, count), atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(0, 2**31))
def test_shares_add_up_to_the_gap_whatever_was_measured(count: int, seed: int) -> None:
    for design in designs(count):
        answers = np.random.default_rng(seed).normal(size=len(design.runs))
        assert not design.runs[0].any()
        assert design.runs[1].all()
        assert (design.shares @ answers).sum() == pytest.approx(answers[1] - answers[0], abs=1e-9)


@pytest.mark.parametrize("count", [5, 6, 7])
def test_no_smaller_fraction_tells_pairs_apart(count: int) -> None:
    """By pyDOE3's own search, which takes 20 seconds for 8."""
    for erased in range(count - 3, 0, -1):
        try:
            generator, _, _ = pyDOE3.fracfact_opt(count, erased)
        except ValueError:  # too many erased for any generator
            continue
        terms = module._polynomial(module._with_ends(pyDOE3.fracfact(generator)), 2)
        if np.linalg.matrix_rank(terms) == terms.shape[1]:
            break
    assert generator == module._GENERATORS[count]


@pytest.mark.parametrize("count", [5, 6, 7, 8])
def test_a_fraction_recovers_main_effects_and_interactions_of_two(count: int) -> None:
    rng, design = np.random.default_rng(count), designs(count)[0]
    assert design.kind == "pairs"
    assert len(design.runs) < 2**count
    mains, pairs = rng.normal(size=count), rng.normal(size=len(design.pairs))
    x = design.runs.astype(float)
    answers = (
        3
        + x @ mains
        + sum(w * x[:, i] * x[:, j] for w, (i, j) in zip(pairs, design.pairs, strict=True))
    )
    shares = mains.copy()
    for weight, (i, j) in zip(pairs, design.pairs, strict=True):
        shares[i] += weight / 2
        shares[j] += weight / 2
    np.testing.assert_allclose(design.shares @ answers, shares, atol=1e-9)
    np.testing.assert_allclose(design.interactions @ answers, pairs, atol=1e-9)


@pytest.mark.parametrize("count", [3, 5, 8, 11])
def test_the_smallest_design_recovers_effects_that_add_up(count: int) -> None:
    rng, design = np.random.default_rng(count), designs(count)[-1]
    assert design.kind == "mains"
    mains = rng.normal(size=count)
    np.testing.assert_allclose(design.shares @ (1 + design.runs @ mains), mains, atol=1e-9)
    assert [len(one.runs) for one in designs(count)] == sorted(
        (len(one.runs) for one in designs(count)), reverse=True
    )


def test_too_many_practices_are_refused() -> None:
    for count in (0, 17):
        with pytest.raises(TwintrainError, match="told apart"):
            designs(count)
