"""Slices that nobody named, searched for those on which the twins differ.

Every value of every slice key and every cross of two of them is compared, as long as it has enough
test examples; of more than `MOST`, the largest. What is found is told only where it stays after
Holm's adjustment for all that were searched (Holm 1979), so that a search among hundreds finds
something by chance in no more than 5 % of the reports.
"""

from __future__ import annotations

from itertools import combinations as pairs_of

from twintrain.comparison.predictions import PairedPredictions
from twintrain.comparison.slices import FEW, Rules, SliceValues, combinations, lacking_on
from twintrain.problems.problem import Problem
from twintrain.recipe.recipe import Recipe
from twintrain.statistics.paired import LEVEL, holm, paired_estimate

MOST = 300  # slices that are searched
_TOLD = 5  # of those found


def search_slices(
    recipe: Recipe,
    problem: Problem,
    values: SliceValues,
    predictions: PairedPredictions,
    rules: Rules,
) -> list[str]:
    """What the search has found, as a note; none where there is nothing to be searched beyond the
    slices that were asked for.

    Args:
        recipe: names the slices that are compared anyway.
        problem: says what there can be sliced by.
        values: of each test example, [examples].
        predictions: of both twins, which are not the same.
        rules: metric and seeds.
    """
    keys = [key for key in problem.statement.slice_keys if key in values]
    crosses = [(key,) for key in keys] + list(pairs_of(keys, 2))
    if set(crosses) <= set(problem.statement.slices_of(recipe)):
        return []
    chosen, seen = {}, set()
    for name, mask in combinations(recipe, problem, values, crosses):
        # A cross of what always comes together is the slice it comes from.
        if mask.sum() < FEW or mask.tobytes() in seen:
            continue
        if lacking_on(problem, predictions.targets[mask]) is None:
            seen.add(mask.tobytes())
            chosen[name] = mask
    largest = sorted(chosen, key=lambda name: -int(chosen[name].sum()))[:MOST]
    if not largest:
        return []
    estimates = {}
    for name in largest:
        scores = predictions.scores_on(chosen[name])
        estimates[name] = paired_estimate(scores["loop"] - scores["fit"], rules.metric.counts)
    adjusted = holm([one.p_value for one in estimates.values()])
    found = [
        (name, one, p)
        for (name, one), p in zip(estimates.items(), adjusted, strict=True)
        if p < LEVEL
    ]
    what = f"{len(largest)} slices by {', '.join(keys)} and by two of them at once"
    if not found:
        return [f"Searched for differences on {what}: none stands out."]
    found.sort(key=lambda one: -abs(one[1].difference))
    metric = rules.metric
    told = "; ".join(
        f"{name} ({metric.difference_text(metric.scale * one.difference)} on "
        f"{int(chosen[name].sum()):,} test examples, p {p:.2g} after Holm)"
        for name, one, p in found[:_TOLD]
    )
    more = f"; and on {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return [f"Searched {what}; the twins differ most on {told}{more}."]
