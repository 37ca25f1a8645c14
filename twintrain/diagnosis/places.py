"""Which lines of the user's code a cause refers to: the calls in which it happens, or where what is
missing should stand.

    spots_of(side, cause)       # of the side that has the cause, from what was noted there
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.result import Cause
from twintrain.diagnosis.watch.logs import figure_name
from twintrain.diagnosis.watch.places import Spot
from twintrain.diagnosis.watch.trace import Evaluation, MetricEvent, Step, Trace

# Lines that are told of one cause.
MOST = 3

# Of a cause that shows at a stage, the calls that say most, best first; the first that was seen
# counts.
_DATA = ("pull", "fit", "call")
_BY_STAGE: dict[Stage, tuple[str, ...]] = {
    Stage.START: ("call",),
    Stage.BATCH_CONTENTS: _DATA,
    Stage.BATCH_COUNT: _DATA,
    Stage.FORWARD: ("call",),
    Stage.LOSS: ("loss", "gradient"),
    Stage.GRADIENTS: ("gradient",),
    Stage.UPDATE: ("update", "assign", "gradient"),
    Stage.METRIC: ("metric", "pull"),
    Stage.SECOND_METRIC: ("metric", "pull"),
    Stage.EVALUATION: ("evaluation", "update"),
    Stage.END: ("fit", "pull"),
}
_OPTIMIZER = ("optimizer made", "update", "assign", "gradient")
# Causes of which other calls say more than their stage does.
_BY_ID: dict[str, tuple[str, ...]] = {
    "shuffle_missing": ("batch", *_DATA),
    "shuffle_buffer_too_small": ("shuffle", "batch", *_DATA),
    "batch_size_differs": ("batch", *_DATA),
    "last_batch_dropped": ("batch", *_DATA),
    "recurrent_state_not_reset": _DATA,
    "training_flag_missing": ("call without flag", "call"),
    "probabilities_as_logits": ("loss made", "loss", "gradient"),
    "clipping_missing": ("clipping", "gradient"),
    "clip_per_variable_vs_global": ("clipping", "gradient"),
    "trainable_flags": ("gradient",),
    "optimizer_differs": _OPTIMIZER,
    "optimizer_state_reset": _OPTIMIZER,
    "learning_rate_schedule": _OPTIMIZER,
    "metrics_not_reset": ("metric read", "metric", "pull"),
    "metric_definition_differs": ("metric made", "metric", "pull"),
    "loss_before_update": ("evaluation", "metric", "pull"),
    "evaluation_set_differs": ("evaluation pull", "evaluation"),
}
_ANYWHERE = ("call", *_DATA, "gradient")
# What `fit` does by what `compile` was told, and makes of a name that it was given; the weights of
# rows and classes and the callbacks are its own arguments, and a `train_step` says itself what it
# returns.
_COMPILED = {"loss", "loss made", "gradient", "update", "metric", "metric read", "metric made"}
_OF_FIT = {"weights_ignored", "trainable_flags", "last_batch_logged"}


@dataclass
class _Moment:
    """Where a cause shows: its side, and the step in which it does first."""

    cause: Cause
    trace: Trace
    step: Step

    @property
    def evaluation(self) -> Evaluation | None:
        """The first evaluation after that step; else the last one."""
        later = [e for e in self.trace.evaluations if e.position > (self.cause.step or 0)]
        return next(iter(later or self.trace.evaluations[-1:]), None)

    def made(self, thing: object) -> Spot | None:
        """Where an object is made."""
        known = self.trace.made.get(id(thing))
        return None if known is None else known[1]

    def metric_event(self, kind: str) -> MetricEvent | None:
        """The first of its kind, of the metric whose name is nearest to what the evidence tells; of
        several of one name, and not reset, the one that was not.
        """
        events = [event for event in self.trace.metrics if event.kind == kind and event.at]
        said = " ".join(evidence.quantity for evidence in self.cause.evidence[:1])
        reset = {
            id(event.metric)
            for event in self.trace.metrics
            if event.kind == "reset_state" and event.position > 0
        }
        unlike = reset if self.cause.id == "metrics_not_reset" else set()

        def nearness(event: MetricEvent) -> tuple[bool, ...]:
            return id(event.metric) not in unlike, *_nearness(event, said)

        return max(events, key=nearness, default=None)


def spots_of(trace: Trace, cause: Cause) -> list[Spot]:
    """The calls a cause refers to, the one that says most first.

    Args:
        trace: of the side that has it.
        cause: with its step counted from 0.
    """
    if not trace.steps:
        return []
    moment = _Moment(cause, trace, trace.steps[min(cause.step or 0, len(trace.steps) - 1)])
    sites = _BY_ID.get(cause.id, _BY_STAGE[cause.first_visible])
    for site in (*sites, *_ANYWHERE):
        found = [spot for spot in _SITES[site](moment) if spot is not None]
        if found:
            told = _by_compile(moment, found) if site in _COMPILED else found
            return list(dict.fromkeys(told))[:MOST]
    return []


def _by_compile(moment: _Moment, spots: list[Spot]) -> list[Spot]:
    """Calls inside of `fit` follow from what `compile` was told."""
    # Whether a call is the watched one itself tells them apart, and does not matter here.
    fits = [call.at[:2] for call in moment.trace.fits if call.at is not None]
    compiles = moment.trace.compiles
    if moment.cause.id in _OF_FIT or not compiles or not any(spot[:2] in fits for spot in spots):
        return spots
    return compiles[-1:]


def _nearness(event: MetricEvent, said: str) -> tuple[bool, bool, bool]:
    name = event.metric.name
    own, told = figure_name(name, numbered=True), figure_name(said.split(" ")[0])
    # A mean that was given no name is one of losses, mostly.
    figure = own.figure or "loss"
    return name in said, figure == told.figure, own.held_out == told.held_out


def _without_flag(moment: _Moment) -> Sequence[Spot | None]:
    return [step.places.get("call") for step in moment.trace.steps if step.training is not True]


def _clipping(moment: _Moment) -> Sequence[Spot | None]:
    """An optimizer that clips does so where it is made."""
    applied = moment.step.applied
    if applied is None:
        return []
    limits = ("clipnorm", "global_clipnorm", "clipvalue")
    if all(getattr(applied.optimizer, limit, None) is None for limit in limits):
        return []
    return [moment.made(applied.optimizer)]


def _of_metrics(moment: _Moment) -> Iterator[Spot | None]:
    event = moment.metric_event("update_state") or moment.metric_event("result")
    yield None if event is None else event.at


def _metric_read(moment: _Moment) -> Iterator[Spot | None]:
    event = moment.metric_event("result")
    yield None if event is None else event.at


def _metric_made(moment: _Moment) -> Iterator[Spot | None]:
    event = moment.metric_event("update_state")
    yield None if event is None else moment.made(event.metric)


def _evaluated(moment: _Moment) -> Iterator[Spot | None]:
    yield None if moment.evaluation is None else moment.evaluation.at


def _evaluation_pulled(moment: _Moment) -> Iterator[Spot | None]:
    """Where data is evaluated that was pulled for it, and not before the training or for it."""
    pulled = None if moment.evaluation is None else moment.evaluation.source.pulled
    training = {step.source.pulled for step in moment.trace.steps}
    fits = {call.at for call in moment.trace.fits}
    yield pulled if pulled not in training or pulled in fits else None


def _optimizer_made(moment: _Moment) -> Iterator[Spot | None]:
    yield None if moment.step.applied is None else moment.made(moment.step.applied.optimizer)


def _in_step(what: str) -> Callable[[_Moment], Iterator[Spot | None]]:
    """In the step itself; where that has none (there is no update in every step), in the first
    that has.
    """

    def found(moment: _Moment) -> Iterator[Spot | None]:
        steps = (moment.step, *moment.trace.steps)
        yield next((step.places[what] for step in steps if what in step.places), None)

    return found


_SITES: dict[str, Callable[[_Moment], Sequence[Spot | None] | Iterator[Spot | None]]] = {
    "pull": lambda moment: [moment.step.source.pulled],
    "batch": lambda moment: [moment.step.source.at("batch")],
    "shuffle": lambda moment: [moment.step.source.at("shuffle")],
    "call": _in_step("call"),
    "call without flag": _without_flag,
    "loss": lambda moment: [call.at for call in moment.step.losses[:1]],
    "loss made": lambda moment: [moment.made(call.loss) for call in moment.step.losses[:1]],
    "gradient": _in_step("gradient"),
    "update": _in_step("update"),
    "assign": _in_step("assign"),
    "optimizer made": _optimizer_made,
    "clipping": _clipping,
    "metric": _of_metrics,
    "metric read": _metric_read,
    "metric made": _metric_made,
    "evaluation": _evaluated,
    "evaluation pull": _evaluation_pulled,
    "fit": lambda moment: [call.at for call in moment.trace.fits[:1]],
}
