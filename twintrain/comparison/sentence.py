"""The verdict as a sentence, made from the figures and saying no more than they do."""

from __future__ import annotations

from twintrain.comparison.comparison import Parity, Slice
from twintrain.recipe.recipe import Recipe


def sentence(overall: Slice, recipe: Recipe, parity: Parity) -> str:
    """What a person may conclude.

    Args:
        overall: the slice of all test examples.
        recipe: what was asked for.
        parity: whether batches and weights are the same.
    """
    seeds = len(recipe.seeds)
    over = f"{seeds} seeds" if seeds > 1 else "one seed (seeds were not varied)"
    low, high = overall.ci95_points
    figures = f"{overall.difference_points:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}"
    accuracies = f"fit {overall.fit_accuracy:.2%}, loop {overall.loop_accuracy:.2%}"
    test = f"{overall.n:,} test examples and {over}"
    # What a loop of the user's own makes of the batches it is given, nobody has seen.
    handed_out = " handed out" if recipe.twins.own else ""
    texts = {
        "identical": (
            f"{' and '.join(recipe.twins.titles)} are the same: on {test} the gap is exactly 0, "
            f"because every batch{handed_out} and every weight is equal bit for bit ({accuracies})."
        ),
        "equivalent": (
            f"The twins are equivalent: the gap is {figures}, inside the margin of "
            f"±{recipe.comparison.margin_points:g} "
            f"points, on {test} ({accuracies})."
        ),
        "fit_better": f"The loop does worse than fit: {figures}, on {test} ({accuracies}).",
        "loop_better": f"The loop does better than fit: {figures}, on {test} ({accuracies}).",
        "inconclusive": (
            f"Not decided: the gap is {figures}, on {test} ({accuracies}); neither a difference "
            "nor equivalence within "
            f"±{recipe.comparison.margin_points:g} points is shown. More seeds or test examples "
            "would tell."
        ),
    }
    text = texts[overall.verdict]
    if recipe.loop:
        fields = ", ".join(f"{key}={str(value).lower()}" for key, value in recipe.loop.items())
        return f"{text} The loop was told to deviate: {fields}."
    if recipe.twins.own:
        told = parity.lockstep.own_loop if parity.lockstep else None
        return f"{text} {told.sentence()}" if told else text
    return text + _parted(recipe, parity)


def _parted(recipe: Recipe, parity: Parity) -> str:
    """What is to be said when twins of one recipe have different weights."""
    apart = f"weights differ by up to {parity.max_abs_difference:.1e}"
    if not parity.max_abs_difference:
        return ""
    if not parity.same_batches:
        return f" Both obeyed one recipe, and yet {apart} and batches differ."
    if recipe.execution.deterministic:
        return f" Both obeyed one recipe, and yet {apart}."
    return (
        f" Both saw the same batches, and {apart}: with execution.deterministic off, two runs of "
        "the same twin may round "
        "differently too. Set it to true to have the twins compared bit for bit."
    )
