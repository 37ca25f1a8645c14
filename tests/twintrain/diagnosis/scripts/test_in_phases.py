"""What is told of several phases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from twintrain.diagnosis.result import Diagnosis, Verdict
from twintrain.diagnosis.scripts.in_phases import in_phases, with_unseen
from twintrain.diagnosis.scripts.script_subject import Part
from twintrain.errors import TwintrainError


def phase(line: int) -> dict[str, Part]:
    training = SimpleNamespace(describe=lambda: f"fit at line {line}")
    return {"keras_fit": cast(Part, SimpleNamespace(training=training))}


def said(verdict: Verdict, note: str) -> Diagnosis:
    return Diagnosis(
        verdict=verdict,
        causes=[],
        first_divergence=None,
        max_abs_difference=None,
        steps=0,
        tolerance=0,
        unexplained=[],
        ruled_out=[],
        notes=[note],
        curve=[],
        tables=[],
    )


@pytest.mark.parametrize(
    ("verdicts", "asked", "verdict", "left"),
    [
        (["unknown"], 1, "unknown", None),
        (["identical", "identical"], 2, "identical", None),
        (["identical", "unknown"], 2, "unknown", None),
        (["unknown", "identical", "identical"], 1, "unknown", "phases 2 to 3"),
        (["identical", "causes_found", "identical"], 2, "causes_found", "phase 3"),
    ],
)
def test_the_first_phase_that_is_not_alike_is_told(
    verdicts: list[Verdict], asked: int, verdict: Verdict, left: str | None
) -> None:
    answers = iter(verdicts)
    heard: list[str] = []
    looked: list[Any] = []

    def diagnose(parts: dict[str, Part]) -> Diagnosis:
        looked.append(parts)
        return said(next(answers), f"note {len(looked)}")

    found = in_phases([phase(10 * n) for n in range(len(verdicts))], diagnose, heard.append)
    assert (len(looked), found.verdict) == (asked, verdict)
    assert len(heard) == (asked if len(verdicts) > 1 else 0)
    assert [look.what for look in found.coverage if look.open] == ([left] if left else [])
    if len(verdicts) > 1:
        earlier = [f"Phase {n}: note {n}" for n in range(1, asked)]
        assert found.notes == [*earlier, f"note {asked}"]


def test_what_raises_later_keeps_what_was_found_before() -> None:
    answers = [said("identical", "fine")]

    def diagnose(parts: dict[str, Part]) -> Diagnosis:
        if not answers:
            raise TwintrainError("It does not come to it.")
        return answers.pop()

    found = in_phases([phase(10), phase(20)], diagnose, lambda line: None)
    assert found.verdict == "unknown"
    (left,) = [look for look in found.coverage if look.open]
    assert left.what == "phase 2"
    assert "It does not come to it." in left.said


def test_phases_that_may_follow_unseen_leave_the_verdict_open() -> None:
    alike, differing = said("identical", ""), said("causes_found", "")
    assert with_unseen(alike, []) == alike
    found = with_unseen(alike, ["it raised"])
    assert found.verdict == "unknown"
    assert [look.said for look in found.coverage if look.open] == ["it raised"]
    assert with_unseen(differing, ["it raised"]).verdict == "causes_found"
