"""The time a diagnosis may take."""

from __future__ import annotations

import pytest

from twintrain.diagnosis.budget import Budget


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    for module, name in (("budget", "monotonic"), ("stopwatch", "process_time")):
        monkeypatch.setattr(f"twintrain.diagnosis.{module}.time.{name}", lambda: now[0])
    return now


def test_phases_are_told_and_timed(clock: list[float]) -> None:
    heard: list[str] = []
    budget = Budget(60.0, heard.append)
    for name, seconds in (("a", 2.0), ("b", 7.0), ("a", 3.0)):
        with budget.phase(name):
            clock[0] += seconds
    assert heard == ["a", "b", "a"]
    assert budget.phases == {"a": 5.0, "b": 7.0}
    assert (budget.spent, budget.passed) == (12.0, False)


def test_a_phase_that_fails_is_timed_too(clock: list[float]) -> None:
    budget = Budget(60.0, lambda line: None)

    def failing() -> None:
        with budget.phase("a"):
            clock[0] += 4.0
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert budget.phases == {"a": 4.0}


def test_what_is_left_is_shared_and_never_nothing(clock: list[float]) -> None:
    budget = Budget(60.0, lambda line: None)
    assert budget.share(6) == 10.0
    clock[0] += 70.0
    assert budget.passed
    assert budget.share(6) == 5.0
