"""Which lines a cause refers to, on traces made by hand."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from tests.twintrain.diagnosis.diagnoses import cause
from twintrain.diagnosis.catalogue import catalogue
from twintrain.diagnosis.places import spots_of
from twintrain.diagnosis.result import Cause, Reading
from twintrain.diagnosis.watch.places import Source, Spot, Station
from twintrain.diagnosis.watch.trace import Evaluation, FitCall, LossCall, MetricEvent, Step, Trace

LOSS, MEAN, ACCURACY = (SimpleNamespace(name=name) for name in ("loss", "mean", "val_accuracy"))
ADAM = SimpleNamespace(clipnorm=None)


@cache
def spot(name: str) -> Spot:
    """A call that is told by the name of its file."""
    return Spot(compile(f"x = {name!r}", name, "exec"), 0, True)


def trace_of(fit: str = "", **changed: Any) -> Trace:
    """A step with everything noted; in one place where `fit` does all of it."""

    def at(name: str) -> Spot:
        return spot(fit or name)

    step = Step(None, None, None, None, None, 0.0)  # type: ignore[arg-type]
    step.places = {name: at(name) for name in ("call", "gradient", "update")}
    stations = () if fit else (Station("batch", at("batch")), Station("shuffle", at("shuffle")))
    step.source = Source(at("pull"), stations)
    step.losses = [LossCall(LOSS, None, at=at("loss"))]
    step.applied = SimpleNamespace(optimizer=ADAM)  # type: ignore[assignment]
    for name, value in changed.items():
        setattr(step, name, value)
    evaluation = Evaluation(1, None, None, None, None, None, None, at=at("evaluation"))  # type: ignore[arg-type]
    evaluation.source = Source(at("evaluation pull"))
    trace = Trace("custom_loop", [], steps=[step], evaluations=[evaluation])
    for kind in ("update_state", "result"):
        for metric in (MEAN, ACCURACY):
            event = MetricEvent(0, metric, kind, 0.0, at(f"{metric.name} {kind}"))
            trace.metrics.append(event)
    for thing, name in ((LOSS, "loss made"), (ADAM, "optimizer made"), (MEAN, "metric made")):
        trace.made[id(thing)] = (thing, spot("compile" if fit else name))
    if fit:
        trace.fits, trace.compiles = [FitCall(None, {}, at=spot(fit))], [spot("compile")]  # type: ignore[arg-type]
    return trace


def names(trace: Trace, of: Cause | str) -> list[str]:
    found = of if isinstance(of, Cause) else cause(of, step=0)
    return [spot.file for spot in spots_of(trace, found)]


@pytest.mark.parametrize(
    ("id_", "where", "in_fit"),
    [
        ("different_initial_weights", "call", "fit"),
        ("shuffle_missing", "batch", "fit"),
        ("shuffle_buffer_too_small", "shuffle", "fit"),
        ("preprocessing_differs", "pull", "fit"),
        ("training_flag_missing", "call", "fit"),
        ("loss_reduction", "loss", "compile"),
        ("weights_ignored", "loss", "fit"),
        ("probabilities_as_logits", "loss made", "compile"),
        ("clipping_missing", "gradient", "compile"),
        ("gradients_rescaled", "gradient", "compile"),
        ("optimizer_differs", "optimizer made", "compile"),
        ("gradient_accumulation", "update", "compile"),
        ("metric_batch_average", "mean update_state", "compile"),
        ("metrics_not_reset", "mean result", "compile"),
        ("evaluation_set_differs", "evaluation pull", "evaluation pull"),
        ("evaluation_training_mode", "evaluation", "fit"),
        ("early_stopping_rule", "pull", "fit"),
    ],
)
def test_a_cause_is_in_the_call_it_happens_in(id_: str, where: str, in_fit: str) -> None:
    assert names(trace_of(), id_) == [where]
    assert names(trace_of("fit"), id_) == [in_fit if in_fit != "evaluation pull" else "fit"]


@pytest.mark.parametrize("id_", [pitfall.id for pitfall in catalogue()])
def test_each_cause_has_a_line_where_there_is_any(id_: str) -> None:
    assert names(trace_of(), id_)
    bare = trace_of(source=Source(), losses=[], applied=None, places={"call": spot("call")})
    bare.metrics = bare.evaluations = []
    assert names(bare, id_) == ["call"]
    assert names(Trace("custom_loop", []), id_) == []


def test_an_update_by_hand_is_where_a_weight_is_assigned() -> None:
    places = {"gradient": spot("gradient"), "assign": spot("assign")}
    assert names(trace_of(applied=None, places=places), "constraints_not_applied") == ["assign"]


def test_an_optimizer_that_clips_does_so_where_it_is_made() -> None:
    clips = SimpleNamespace(clipnorm=1.0)
    trace = trace_of(applied=SimpleNamespace(optimizer=clips))
    trace.made[id(clips)] = (clips, spot("clips"))
    assert names(trace, "clip_per_variable_vs_global") == ["clips"]


@pytest.mark.parametrize(
    ("quantity", "where"),
    [
        ("loss of epoch 1 as logged", "mean"),
        ("val_acc of epoch 1 as logged", "val_accuracy"),
        ("updates in val_accuracy when it is read in epoch 2", "val_accuracy"),
    ],
)
def test_the_metric_is_the_one_the_evidence_tells_of(quantity: str, where: str) -> None:
    evidence = [Reading(quantity=quantity, observed="1", expected="2")]
    found = cause("metric_batch_average", step=0, evidence=evidence)
    assert names(trace_of(), found) == [f"{where} update_state"]
    assert names(trace_of(), found.model_copy(update={"id": "metrics_not_reset"})) == [
        f"{where} result"
    ]


def test_of_two_metrics_of_one_name_the_one_that_is_not_reset_is_meant() -> None:
    trace, other = trace_of(), type(MEAN)(name=MEAN.name)
    trace.metrics += [
        MetricEvent(1, MEAN, "reset_state", None, spot("mean reset")),
        MetricEvent(1, other, "result", 0.0, spot("the other's result")),
    ]
    assert names(trace, "metrics_not_reset") == ["the other's result"]


def test_an_evaluation_of_data_pulled_long_ago_is_in_its_call() -> None:
    trace = trace_of()
    trace.evaluations[0].source = trace.steps[0].source
    assert names(trace, "evaluation_set_differs") == ["evaluation"]


def test_calls_without_the_flag_are_told_all_of_them_up_to_three() -> None:
    trace = trace_of(training=True)
    for name in ("a", "b", "a", "c", "d"):
        trace.steps += trace_of(places={"call": spot(name)}).steps
    assert names(trace, "training_flag_missing") == ["a", "b", "c"]
