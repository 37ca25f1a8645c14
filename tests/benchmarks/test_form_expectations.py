"""How an answer of the command is counted, form by form."""

from __future__ import annotations

import pytest

from benchmarks.diagnosis_sets import modules
from benchmarks.form_expectations import (
    EXCEPTIONS,
    MEND,
    Answer,
    Expectation,
    answer_of,
    expectation,
    outcome,
)

TWO = Expectation(("a", "b"), "custom_loop")
CORRECT = Expectation((), None)
SILENT = Expectation(("a",), "keras_fit", "it is left out")


@pytest.mark.parametrize(
    ("expected", "verdict", "named", "side", "counted"),
    [
        (TWO, "causes_found", ("a", "b"), "custom_loop", "right"),
        (TWO, "causes_found", ("a",), "custom_loop", "in part"),
        (TWO, "causes_found", ("a", "b", "c"), "custom_loop", "wrong name"),
        (TWO, "causes_found", ("a", "b"), "keras_fit", "wrong name"),
        (TWO, "identical", (), "", "false identical"),
        (TWO, "unknown", (), "", "unknown"),
        (TWO, "error", (), "", "failed"),
        (CORRECT, "identical", (), "", "right"),
        (CORRECT, "unknown", (), "", "unknown"),
        (CORRECT, "causes_found", ("a",), "custom_loop", "accused"),
        (SILENT, "identical", (), "", "right"),
        (SILENT, "causes_found", ("a",), "keras_fit", "right"),
        (SILENT, "causes_found", ("c",), "custom_loop", "wrong name"),
    ],
)
def test_an_answer_is_counted(
    expected: Expectation, verdict: str, named: tuple[str, ...], side: str, counted: str
) -> None:
    answer = Answer(0, verdict, named, (side,) * len(named))
    assert outcome("script", expected, answer) == counted


def test_a_refusal_is_no_failure_only_where_nothing_need_be_named() -> None:
    refusal = answer_of(MEND, {"verdict": "unknown", "error": "There is no loop."})
    assert outcome("script", SILENT, refusal) == "refused"
    assert outcome("script", TWO, refusal) == outcome("script", CORRECT, refusal) == "failed"


def test_an_answer_that_cannot_be_read_is_a_failure_everywhere() -> None:
    assert outcome("script", SILENT, Answer(MEND, "nothing")) == "failed"


def test_a_mistake_of_fit_cannot_be_named_where_fit_is_left_out() -> None:
    of_fit = ("reported", "tf41413_accuracy_on_logits")
    assert expectation("loop_alone", *of_fit).silence
    assert not expectation("script", *of_fit).silence


def test_a_mistake_in_itself_must_be_named_without_fit_too() -> None:
    assert not expectation("loop_alone", "reported", "tf32864_dropout_off").silence
    assert not expectation("loop_alone", "correct", "sgd_by_hand").silence


def test_exceptions_are_of_modules_there_are() -> None:
    known = {path.stem for path in modules("reported")}
    assert {module for _, module in EXCEPTIONS} <= known
    assert all(EXCEPTIONS.values())
