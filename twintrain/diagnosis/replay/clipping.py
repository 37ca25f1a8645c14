"""What becomes of gradients between the tape and the update rule: a factor, a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from twintrain.diagnosis.replay.compare import each_close, gradients_agree
from twintrain.diagnosis.replay.tolerances import (
    CLIPPED,
    SAME_LIMIT,
    SHRUNK,
    TINY_NORM,
    UNTOUCHED,
    Tolerance,
)

Gradients = list[np.ndarray | None]
Pairs = list[tuple[np.ndarray, np.ndarray]]


class Rule(NamedTuple):
    """A way of clipping.

    Attributes:
        kind: 'none', 'per variable' (norm), 'global' (norm over all) or 'value'.
        limit: 0 for none.
    """

    kind: str
    limit: float

    def __str__(self) -> str:
        return self.kind if self.kind == "none" else f"{self.kind}, at {self.limit:.4g}"


NO_CLIPPING = Rule("none", 0.0)
# Arguments of Keras optimizers, by the kind of clipping they ask for.
ARGUMENTS = {"per variable": "clipnorm", "global": "global_clipnorm", "value": "clipvalue"}


class Way(NamedTuple):
    """What is done to gradients before the optimizer gets them: multiplied first, then clipped.

    Attributes:
        factors: per update.
        rule: the same in every update.
    """

    factors: tuple[float, ...]
    rule: Rule

    @property
    def factor(self) -> float | None:
        """The factor where it is one and the same in every update, else None."""
        middle = float(np.median(self.factors))
        return middle if each_close(self.factors, middle, SAME_LIMIT) else None


def clipping(optimizer: keras.Optimizer) -> Rule:
    """How an optimizer clips by itself."""
    core = getattr(optimizer, "inner_optimizer", optimizer)
    for kind, argument in ARGUMENTS.items():
        limit = getattr(core, argument, None)
        if limit is not None:
            return Rule(kind, float(limit))
    return NO_CLIPPING


def clip(rule: Rule, gradients: Gradients) -> Gradients:
    """Clip gradients."""
    kind, limit = rule
    if kind == "value":
        return [None if g is None else np.clip(g, -limit, limit) for g in gradients]
    if kind == "per variable":
        return [
            None if g is None else g * min(1.0, limit / max(norm(g), TINY_NORM)) for g in gradients
        ]
    if kind == "global":
        factor = min(1.0, limit / max(global_norm(gradients), TINY_NORM))
        return times(factor, gradients)
    return gradients


def times(factor: float, gradients: Gradients) -> Gradients:
    """Gradients, multiplied; half precision becomes float32, which holds them."""
    if factor == 1:
        return gradients
    return [None if g is None else _wide(g) * np.float32(factor) for g in gradients]


def _wide(gradient: np.ndarray) -> np.ndarray:
    return gradient if gradient.dtype.itemsize >= 4 else gradient.astype(np.float32)


def norm(gradient: np.ndarray) -> float:
    """L2 norm."""
    return float(np.linalg.norm(gradient.astype(np.float64)))


def global_norm(gradients: Gradients) -> float:
    """L2 norm over all gradients."""
    return float(np.sqrt(sum(norm(g) ** 2 for g in gradients if g is not None)))


def way_of(raws: Sequence[Gradients], given: Sequence[Gradients]) -> Way | None:
    """What was done to gradients in some updates; None where it is neither a factor nor clipping.

    Args:
        raws: per update, the gradients as the tape gave them.
        given: per update, those the optimizer got, in the same order of variables.
    """
    updates = [_paired(r, g) for r, g in zip(raws, given, strict=True)]
    if any(pairs is None for pairs in updates):
        return None
    # What is not finite shows nothing.
    known = [pairs if pairs and _finite(pairs) else [] for pairs in updates]
    seen = [pairs for pairs in known if pairs]
    ones = (1.0,) * len(known)
    if all(_untouched(pairs) for pairs in seen):
        return Way(ones, NO_CLIPPING)
    factors = [_factor(pairs) for pairs in seen]
    multiplied = all(f is not None for f in factors)
    if multiplied and _same_though_norms_vary(factors, seen):
        return Way((float(np.median(factors)),) * len(known), NO_CLIPPING)  # type: ignore[arg-type]
    # Where nothing is clipped, the gradients show the factor; where all is, it does not matter.
    for first in (1.0, max(_largest_ratio(pairs) for pairs in seen)):
        rule = _rule(first, seen)
        if rule is not None:
            return Way((first,) * len(known), rule)
    if not multiplied:
        return None
    found = iter(factors)
    return Way(tuple(next(found) or 1.0 if pairs else 1.0 for pairs in known), NO_CLIPPING)


def _paired(raw: Gradients, given: Gradients) -> Pairs | None:
    pairs = [(r, a) for r, a in zip(raw, given, strict=False) if r is not None and a is not None]
    if len(raw) != len(given) or any(r.shape != a.shape for r, a in pairs):
        return None
    return pairs


def _finite(pairs: Pairs) -> bool:
    return all(np.isfinite(r).all() and np.isfinite(a).all() for r, a in pairs)


def _untouched(pairs: Pairs) -> bool:
    if all(np.array_equal(r, a) for r, a in pairs):
        return True  # the usual case, at a tenth of the time
    return all(each_close(r, a, UNTOUCHED) for r, a in pairs)


def _factor(pairs: Pairs) -> float | None:
    """The one factor between two lists of gradients, by least squares; None where there is none."""
    square = sum(norm(r) ** 2 for r, _ in pairs)
    product = sum(float((r.astype(np.float64) * a).sum()) for r, a in pairs)
    factor = product / max(square, TINY_NORM)
    size = max((float(np.abs(a).max()) for _, a in pairs if a.size), default=0.0)
    tolerance = Tolerance(CLIPPED.rel, UNTOUCHED.rel * size)
    fits = all(each_close(factor * _wide(r), a, tolerance) for r, a in pairs)
    return factor if fits and factor else None


def _same_though_norms_vary(factors: list[float | None], seen: list[Pairs]) -> bool:
    """Clipping to one limit would give another factor for every norm."""
    norms = [global_norm([r for r, _ in pairs]) for pairs in seen]
    middle = float(np.median([f for f in factors if f is not None]))
    varied = not each_close(norms, float(np.median(norms)), SAME_LIMIT)
    return varied and each_close(factors, middle, SAME_LIMIT)


def _largest_ratio(pairs: Pairs) -> float:
    """Of the norms of a gradient after and before."""
    return max((norm(a) / max(norm(r), TINY_NORM) for r, a in pairs if norm(r)), default=1.0)


def _rule(first: float, seen: list[Pairs]) -> Rule | None:
    """The rule that clips in all updates what was multiplied first; None where none does."""
    updates = [_multiplied(first, pairs) for pairs in seen]
    changed = [pairs for pairs in updates if not _untouched(pairs)]
    if not changed:
        return NO_CLIPPING
    limits = {
        "global": [global_norm([a for _, a in pairs]) for pairs in changed],
        "per variable": [norm(a) for pairs in changed for r, a in pairs if _shrunk(r, a)],
        "value": [max(float(np.abs(a).max()) for _, a in pairs) for pairs in changed],
    }
    for kind, found in limits.items():
        rule = Rule(kind, float(np.median(found)) if found else 0.0)
        if not rule.limit or not each_close(found, rule.limit, SAME_LIMIT):
            continue
        if all(_clips(rule, pairs) for pairs in updates):
            return rule
    return None


def _multiplied(factor: float, pairs: Pairs) -> Pairs:
    return pairs if factor == 1 else [(_wide(r) * np.float32(factor), a) for r, a in pairs]


def _shrunk(raw: np.ndarray, given: np.ndarray) -> bool:
    return norm(given) < norm(raw) * (1 - SHRUNK)


def _clips(rule: Rule, pairs: Pairs) -> bool:
    return gradients_agree(clip(rule, [r for r, _ in pairs]), [a for _, a in pairs], CLIPPED)
