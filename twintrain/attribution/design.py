"""The experiment's design: which combinations of practices to train, and how the answers are
weighed.

A practice's share is its Shapley value (Shapley 1953): its effect averaged over all orders in which
the practices could be switched one after the other. Shares are linear in the measured accuracies
and add up to the whole gap exactly. With a full factorial they need no assumption. With a fraction
they are those of the polynomial fitted to it, which goes through both end points exactly; it has
main effects and, where the fraction allows, all interactions of two. Fractions come from pyDOE3 and
are used only where every term of the polynomial can be told from the others.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from math import factorial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyDOE3

from twintrain.errors import TwintrainError

FULL = 4  # practices up to which the full factorial is the first choice (16 combinations)
_MOST_FULL = 6
# By number of practices, the generator of the smallest regular fraction that pyDOE3.fracfact_opt
# finds in which all interactions of two can be told apart. Of 8 practices its search takes 20
# seconds, of more minutes.
_GENERATORS = {
    5: "a b c d abcd",
    6: "a b c d e abcde",
    7: "a b c d e f abcdef",
    8: "a b c d e f bcdef adef",
}
_MOST = 16
Matrix = npt.NDArray[np.float64]
Kind = Literal["full", "pairs", "mains"]


@dataclass(frozen=True)
class Design:
    """Combinations to train and the weights of their accuracies.

    Attributes:
        kind: 'full' factorial; 'pairs', a fraction that lets any two practices interact; 'mains', a
            smaller fraction that takes them to add up.
        runs: bool [combinations, practices], True where a practice is taken from the second recipe;
            the first row is all False, the second all True.
        shares: [practices, combinations]; shares = weights @ accuracies.
        interactions: [pairs, combinations], in the order of `pairs`; empty for 'mains'.
    """

    kind: Kind
    runs: npt.NDArray[np.bool_]
    shares: Matrix
    interactions: Matrix

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs of practices `interactions` are about."""
        return (
            list(itertools.combinations(range(self.runs.shape[1]), 2))
            if len(self.interactions)
            else []
        )


@cache
def designs(practices: int) -> tuple[Design, ...]:
    """Designs for that many practices, the preferred first, then ever cheaper ones.

    Raises:
        TwintrainError: no practice, or too many.
    """
    if not 1 <= practices <= _MOST:
        raise TwintrainError(
            f"{practices} practices cannot be told apart by one experiment.",
            f"Between the two recipes 1 to {_MOST} may differ: explain the way in two steps, over "
            "a recipe in between.",
        )
    full = [_full(practices)] if practices <= _MOST_FULL else []
    fractions = [design for design in (_pairs(practices), _mains(practices)) if design is not None]
    found = full + fractions if practices <= FULL else fractions + full
    cheapest, kept = len(found[0].runs) + 1, []
    for design in found:
        if len(design.runs) < cheapest:
            kept.append(design)
            cheapest = len(design.runs)
    return tuple(kept)


def _full(count: int) -> Design:
    runs = _with_ends(pyDOE3.ff2n(count))
    weights = np.zeros((count, len(runs)))
    for column, row in enumerate(runs):
        size = int(row.sum())
        for practice in range(count):
            others = size - 1 if row[practice] else size
            weight = factorial(others) * factorial(count - others - 1) / factorial(count)
            weights[practice, column] = weight if row[practice] else -weight
    return Design("full", runs, weights, _interaction_weights(runs))


def _pairs(count: int) -> Design | None:
    """The smallest fraction in which all main effects and all interactions of two can be told
    apart.
    """
    if count not in _GENERATORS:
        return None
    runs = _with_ends(pyDOE3.fracfact(_GENERATORS[count]))
    return Design("pairs", runs, _fitted_shares(runs, 2), _interaction_weights(runs))


def _mains(count: int) -> Design | None:
    """A fraction in which all main effects can be told apart, clear of interactions of two where
    there is one.
    """
    if count < 3:
        return None
    for resolution in (4, 3):
        try:
            coded = (
                pyDOE3.fracfact("a b ab")
                if count == 3
                else pyDOE3.fracfact_by_res(count, resolution)
            )
        except ValueError:  # there is none
            continue
        runs = _with_ends(coded)
        if _is_estimable(_polynomial(runs, 1)):
            return Design("mains", runs, _fitted_shares(runs, 1), np.empty((0, len(runs))))
    return None


def _with_ends(coded: Matrix) -> npt.NDArray[np.bool_]:
    """A design in -1, +1 as switches, turned so that it has the row of no practice, and given that
    of all.
    """
    switched = (coded * -coded[0]) > 0
    rows = dict.fromkeys(
        [(False,) * switched.shape[1], (True,) * switched.shape[1], *map(tuple, switched.tolist())]
    )
    return np.array(list(rows), bool)


def _polynomial(runs: npt.NDArray[np.bool_], degree: int) -> Matrix:
    x = runs.astype(np.float64)
    columns = [np.ones(len(x)), *x.T]
    if degree == 2:
        columns += [x[:, i] * x[:, j] for i, j in itertools.combinations(range(x.shape[1]), 2)]
    return np.column_stack(columns)


def _is_estimable(terms: Matrix) -> bool:
    return bool(np.linalg.matrix_rank(terms) == terms.shape[1])


def _fitted_shares(runs: npt.NDArray[np.bool_], degree: int) -> Matrix:
    """Weights of the Shapley shares of the least-squares polynomial that goes through the first two
    runs exactly.
    """
    terms, count = _polynomial(runs, degree), runs.shape[1]
    size = terms.shape[1]
    ends = terms[:2]
    system = np.block([[terms.T @ terms, ends.T], [ends, np.zeros((2, 2))]])
    answers = np.vstack([terms.T, np.eye(2, len(runs))])
    coefficients = np.linalg.solve(system, answers)[:size]  # [terms, combinations]
    shares = coefficients[1 : count + 1].copy()
    if degree == 2:
        for (i, j), weights in zip(
            itertools.combinations(range(count), 2), coefficients[count + 1 :], strict=True
        ):
            # An interaction belongs to both practices in equal parts.
            shares[i] += weights / 2
            shares[j] += weights / 2
    return shares


def _interaction_weights(runs: npt.NDArray[np.bool_]) -> Matrix:
    """How much more two practices do together than apart, averaged over the others: [pairs,
    combinations].
    """
    coded = 2 * runs.astype(np.float64) - 1
    pairs = list(itertools.combinations(range(runs.shape[1]), 2))
    terms = np.column_stack(
        [np.ones(len(coded)), coded, *(coded[:, i] * coded[:, j] for i, j in pairs)]
    )
    return 4 * np.linalg.pinv(terms)[1 + runs.shape[1] :]
