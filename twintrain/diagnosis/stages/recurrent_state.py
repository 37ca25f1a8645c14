"""Stage 'forward output': what stateful recurrent layers carry over from batch to batch, and where
each side starts anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.compare import all_close_to, peak
from twintrain.diagnosis.replay.model_calls import (
    call_model,
    compute_dtype,
    forward,
    outputs_of,
    seen_outputs,
    weights_of,
)
from twintrain.diagnosis.replay.tolerances import forward_tolerance
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.trace import FIT, LOOP, Arrays, CompleteStep, Evaluation


@dataclass
class _Moment:
    """A forward pass, and what the recurrent layers held before it."""

    seen: CompleteStep | Evaluation
    states: Arrays

    @property
    def anew(self) -> bool:
        """Whether it starts from zero; a model without stateful layers always does."""
        return not any(state.any() for state in self.states)


@looks_for("recurrent_state_not_reset")
def check_states(pair: Pair) -> bool:
    """Compare where the recurrent layers start anew, in training and then in evaluation."""
    for moments, stage in ((_in_training, None), (_in_evaluation, Stage.EVALUATION)):
        found = {side.name: moments(side) for side in pair.sides}
        for place in sorted(set(found[FIT]) & set(found[LOOP])):
            fit, loop = found[FIT][place], found[LOOP][place]
            if bool(fit.states) != bool(loop.states) and _inputs(fit) != _inputs(loop):
                why = "one side hands its model more inputs than the other, states maybe"
                pair.findings.not_compared("recurrent states", why, open_=True)
                return False
            if fit.anew == loop.anew:
                continue
            side = pair.loop if fit.anew else pair.fit
            if _name(pair, side, loop if fit.anew else fit, stage):
                return True
    return True


def _inputs(moment: _Moment) -> int:
    return len(keras.tree.flatten(moment.seen.inputs))


def _in_training(side: Side) -> dict[int, _Moment]:
    """The steps that were kept in full, by number."""
    return {step.number: _Moment(step, step.states) for step in side.close}


def _in_evaluation(side: Side) -> dict[int, _Moment]:
    """The first evaluation after each epoch, by epoch."""
    kept = [e for e in side.trace.evaluations if e.weights is not None]
    return {
        epoch: _Moment(evaluation, evaluation.states)
        for epoch, end in enumerate(side.ends)
        for evaluation in kept
        if evaluation.position == end
    }


def _name(pair: Pair, side: Side, moment: _Moment, stage: Stage | None) -> bool:
    """Name a side that carries its state over where the other starts anew; False where the state
    makes no difference to the outputs, or a replay does not give them.
    """
    seen, zeros = moment.seen, [np.zeros_like(state) for state in moment.states]
    observed = _observed(seen)
    tolerance = forward_tolerance(compute_dtype(seen.model))
    for flag in (seen.training, True, False):
        carried, anew = _again(seen, flag, moment.states), _again(seen, flag, zeros)
        if not all_close_to(observed, carried, tolerance):
            continue
        if all_close_to(carried, anew, tolerance):
            return False
        number = seen.number if isinstance(seen, CompleteStep) else max(0, seen.position - 1)
        pair.findings.name_cause(
            "recurrent_state_not_reset",
            side.name,
            number,
            by_replay("largest output", peak(observed), peak(carried), peak(anew)),
            by_reading("largest state before it", peak(moment.states), 0.0),
            stage=stage,
        )
        return True
    return False


def _observed(seen: CompleteStep | Evaluation) -> Arrays:
    return seen_outputs(seen) if isinstance(seen, CompleteStep) else outputs_of(seen.outputs)


def _again(seen: CompleteStep | Evaluation, flag: bool | None, states: Arrays) -> Arrays:
    """The outputs from some states, all else as it was."""
    if isinstance(seen, CompleteStep):
        return outputs_of(forward(seen, flag, states))
    with weights_of(seen.model, seen.weights or [], states):
        return outputs_of(call_model(seen.model, seen.inputs, flag))


CHECKS = (check_states,)
