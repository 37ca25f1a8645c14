"""On what, and how, each side evaluates."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import (
    BATCH,
    STEPS,
    TEST_ROWS,
    Practice,
    named,
    nothing,
    pair_of,
    small_model,
)
from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.stages.evaluation import ITSELF, blocks_of, check_evaluations, held_out
from twintrain.diagnosis.watch.trace import Evaluation, Trace


def dropping() -> keras.Model:
    return small_model(dropout=0.4)


def test_equal_evaluations_name_nothing() -> None:
    pair = pair_of(Practice(build=dropping), Practice(build=dropping))
    assert check_evaluations(pair)
    assert nothing(pair)
    assert pair.findings.ruled_out == {"evaluation_set_differs", "evaluation_training_mode"}


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_part_of_the_test_rows_is_named(side: str) -> None:
    part = Practice(evaluated=5)
    pair = pair_of(fit=part) if side == "keras_fit" else pair_of(loop=part)
    check_evaluations(pair)
    assert named(pair) == [("evaluation_set_differs", side, None)]
    evidence = pair.findings.causes[0].evidence[0]
    assert evidence.observed.startswith(f"5 of {TEST_ROWS} test rows: 0-4 (labels 0: ")
    assert evidence.expected.startswith(f"all of {TEST_ROWS} test rows (labels 0: ")


def test_the_flag_in_evaluation_is_named_with_the_outputs() -> None:
    on = Practice(build=dropping, evaluation=True)
    pair = pair_of(Practice(build=dropping), on)
    check_evaluations(pair)
    assert named(pair) == [("evaluation_training_mode", "custom_loop", STEPS - 1)]
    flag, peaks = pair.findings.causes[0].evidence
    assert (flag.observed, flag.expected) == ("True", "False")
    assert peaks.observed == peaks.replayed != peaks.correct


def test_a_flag_that_changes_nothing_is_no_pitfall() -> None:
    pair = pair_of(loop=Practice(evaluation=True))
    check_evaluations(pair)
    assert nothing(pair)


def test_inputs_that_are_changed_in_evaluation_only_are_named() -> None:
    pair = pair_of(loop=Practice(evaluation_change=lambda x: (x * 2).astype(np.float32)))
    check_evaluations(pair)
    assert named(pair) == [("preprocessing_differs", "custom_loop", None)]
    assert pair.findings.causes[0].first_visible is Stage.EVALUATION
    assert pair.findings.causes[0].evidence[0].observed == "scaled"


def standardized(rows: np.ndarray) -> np.ndarray:
    return ((rows - rows.mean(0)) / rows.std(0)).astype(np.float32)


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_a_scaler_that_was_fitted_to_the_rows_evaluated_is_the_mistake(
    side: str,
) -> None:
    def plant(*traces: Trace) -> None:
        for trace in traces:
            if trace.side == side:
                for end in (STEPS, 2 * STEPS):
                    found = [e for e in trace.evaluations if e.position == end]
                    rows = np.concatenate([np.asarray(e.inputs) for e in found])
                    own = standardized(rows)
                    for number, evaluation in enumerate(found):
                        size = len(np.asarray(evaluation.inputs))
                        evaluation.inputs = own[number * BATCH : number * BATCH + size]

    pair = pair_of(plant=plant)
    check_evaluations(pair)
    assert named(pair) == [("preprocessing_differs", side, None)]
    (reading,) = pair.findings.causes[0].evidence
    assert (reading.observed, reading.expected) == (ITSELF, "with others")
    assert "training rows alone" in pair.findings.causes[0].fix


def test_nothing_is_said_where_a_side_does_not_evaluate() -> None:
    pair = pair_of(loop=Practice(evaluated=0))
    assert not check_evaluations(pair)
    assert nothing(pair)
    assert pair.findings.ruled_out == set()


def test_evaluations_on_training_rows_are_set_aside() -> None:
    pair = pair_of()
    first, _ = blocks_of(pair.loop)
    step = pair.loop.steps[0]
    on_train = Evaluation(STEPS, step.model, step.inputs, False, step.outputs, step.element, None)
    assert held_out(pair, [on_train, *first]) == first
    assert held_out(pair, [on_train]) == [on_train]


def test_another_model_that_is_called_in_between_is_not_evaluated() -> None:
    """That of the other side may stand in the same script."""
    pair = pair_of(loop=Practice(evaluated=0))
    step = pair.loop.steps[0]
    other = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    copy = keras.models.clone_model(step.model)
    for model in (other, copy):
        called = Evaluation(STEPS, model, step.inputs, False, step.outputs, step.element, None)
        pair.loop.trace.evaluations.append(called)
    first, _ = blocks_of(pair.loop)
    assert [evaluation.model for evaluation in first] == [copy]


def test_rows_of_which_nothing_is_known_are_told_as_that() -> None:
    pair = pair_of(loop=Practice(evaluation_change=lambda x: np.cos(99 * x).astype(np.float32)))
    pair.subject.test = None
    assert not check_evaluations(pair)
    assert nothing(pair)
    (look,) = pair.findings.looks
    assert look.open
    assert look.said.endswith("evaluates on rows of which nothing is known")
