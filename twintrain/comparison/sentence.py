"""The verdict as a sentence, made from the figures and saying no more than they do."""

from __future__ import annotations

from twintrain.comparison.comparison import Parity, Slice
from twintrain.comparison.slices import Rules
from twintrain.recipe.recipe import Recipe


def sentence(overall: Slice, rules: Rules, recipe: Recipe, parity: Parity) -> str:
    """What a person may conclude.

    Args:
        overall: the slice of all test examples.
        rules: metric, margin and seeds.
        recipe: what was asked for.
        parity: whether batches and weights are the same.
    """
    metric, seeds = rules.metric, len(rules.seeds)
    over = f"{seeds} seeds" if seeds > 1 else "one seed (seeds were not varied)"
    low, high = (metric.difference(bound) for bound in overall.ci95)
    figures = f"{metric.difference_text(overall.difference)}, 95 % interval {low} to {high}"
    named = "" if metric.counts else f"{metric.name}: "
    scores = f"{named}fit {metric.score_text(overall.fit_score)}, "
    scores += f"loop {metric.score_text(overall.loop_score)}"
    test = f"{overall.n:,} test examples and {over}"
    margin = metric.margin_text(rules.margin)
    # What a loop of the user's own makes of the batches it is given, nobody has seen.
    handed_out = " handed out" if recipe.twins.own else ""
    texts = {
        "identical": (
            f"{' and '.join(recipe.twins.titles)} are the same: on {test} the gap is exactly 0, "
            f"because every batch{handed_out} and every weight is equal bit for bit ({scores})."
        ),
        "equivalent": (
            f"The twins are equivalent: the gap is {figures}, inside the margin of {margin}, "
            f"on {test} ({scores})."
        ),
        "fit_better": f"The loop does worse than fit: {figures}, on {test} ({scores}).",
        "loop_better": f"The loop does better than fit: {figures}, on {test} ({scores}).",
        "inconclusive": (
            f"Not decided: the gap is {figures}, on {test} ({scores}); neither a difference nor "
            f"equivalence within {margin} is shown. More seeds or test examples would tell."
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
