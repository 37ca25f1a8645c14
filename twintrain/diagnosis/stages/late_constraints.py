"""Stage 'update', in epochs that were run but not watched step by step: weights that have left what
their constraints allow by the epoch in which the sides part. Many limits are reached late.
"""

from __future__ import annotations

import numpy as np

from twintrain.diagnosis.replay.constraints import brought_inside
from twintrain.diagnosis.stages.findings import by_replay
from twintrain.diagnosis.stages.late_parting import LateRuns
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.trace import FIT, LOOP
from twintrain.diagnosis.watch.weight_order import counted_weights


@looks_for("constraints_not_applied")
def check_late_constraints(pair: Pair, late: LateRuns) -> bool:
    """Name a weight outside of its constraint on one side only.

    Args:
        pair: findings go here.
        late: where they part.
    """
    epoch = late.apart.epoch
    if any(len(run.states) <= epoch for run in late.runs.values()):
        return False
    outside = {side: _outside(run, epoch) for side, run in late.runs.items()}
    for side, other in ((LOOP, FIT), (FIT, LOOP)):
        for position, inside in outside[side].items():
            if position not in outside[other]:
                _name(pair, side, late, position, inside)
                return True
    return True


def _outside(run: Milestones, epoch: int) -> dict[int, np.ndarray]:
    """By position, what the constraints would make of the weights after an epoch, where these are
    not as they want them.
    """
    values = zip(counted_weights(run.model), run.states[epoch], strict=True)
    found = {k: brought_inside(variable, value) for k, (variable, value) in enumerate(values)}
    return {position: inside for position, inside in found.items() if inside is not None}


def _name(pair: Pair, side: str, late: LateRuns, position: int, inside: np.ndarray) -> None:
    run, epoch = late.runs[side], late.apart.epoch
    variable, observed = counted_weights(run.model)[position], run.states[epoch][position]
    index = np.unravel_index(int(np.abs(inside - observed).argmax()), observed.shape)
    where = ", ".join(str(int(i)) for i in index)
    kind = type(variable.constraint).__name__
    pair.findings.name_cause(
        "constraints_not_applied",
        side,
        None,
        by_replay(
            f"{variable.path}[{where}] after epoch {epoch} ({kind})",
            observed[index],
            observed[index],
            inside[index],
        ),
    )
