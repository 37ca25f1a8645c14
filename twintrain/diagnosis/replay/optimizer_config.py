"""What an optimizer is made of, also where its schedule cannot describe itself."""

from __future__ import annotations

import re
from typing import Any

import keras


def config_of(optimizer: keras.Optimizer) -> dict[str, Any]:
    """`optimizer.get_config()`, in which a schedule of the user's own stands as it is: few of these
    have a `get_config`, and Keras finds none of them by its name.

    Raises:
        Exception: what the `get_config` of an optimizer of the user's own raises.
    """
    rate = getattr(optimizer, "_learning_rate", None)
    schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    if not schedule or type(rate).__module__.startswith("keras."):
        found: dict[str, Any] = optimizer.get_config()
        return found
    # Not by the optimizer's own __setattr__, which would track it.
    object.__setattr__(optimizer, "_learning_rate", None)
    try:
        return optimizer.get_config() | {"learning_rate": rate}
    finally:
        object.__setattr__(optimizer, "_learning_rate", rate)


def exclude_alike(
    given: keras.Optimizer,
    made: keras.Optimizer,
    variables: list[keras.Variable],
    originals: list[keras.Variable] | None = None,
) -> None:
    """Let an optimizer leave out of its weight decay what another one leaves out: what
    `exclude_from_weight_decay` was told stands in no configuration.

    Args:
        given: was told.
        made: like it, not told.
        variables: that `made` will update, with the names of those of `given`.
        originals: for each of them, the one of `given`; None where they are in its order.

    Raises:
        ValueError: single variables are excluded, and these are not the ones.
    """
    pattern = getattr(given, "_exclude_from_weight_decay_pattern", None)
    listed = getattr(given, "_exclude_from_weight_decay", None)
    if isinstance(listed, (set, frozenset)) and listed:  # a list is a class's own
        of = given._trainable_variables if originals is None else originals
        if [v.shape for v in of] != [v.shape for v in variables]:
            raise ValueError("what is excluded from weight decay is not among these variables")
        pairs = zip(of, variables, strict=True)
        chosen = {made._var_key(ours) for theirs, ours in pairs if given._var_key(theirs) in listed}
        made._exclude_from_weight_decay = chosen
        made._exclude_from_weight_decay_cache = {}
    if isinstance(pattern, re.Pattern):
        made._exclude_from_weight_decay_pattern = pattern
        made._exclude_from_weight_decay_cache = {}


def excluded_names(optimizer: keras.Optimizer) -> list[str]:
    """The `var_names` that `exclude_from_weight_decay` was told, sorted: Keras keeps no order."""
    pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    if not isinstance(pattern, re.Pattern):
        return []
    whole = pattern.pattern
    return sorted(whole.split("|")) if re.fullmatch(r"[\w/|]+", whole) else [whole]


def not_decayed(optimizer: keras.Optimizer) -> tuple[int, ...]:
    """The numbers of the variables that an optimizer with weight decay does not decay, in the order
    in which it was built for them.
    """
    if not getattr(optimizer, "weight_decay", None) or not hasattr(optimizer, "_use_weight_decay"):
        return ()
    variables = getattr(optimizer, "_trainable_variables", [])
    return tuple(n for n, v in enumerate(variables) if not optimizer._use_weight_decay(v))
