"""A process's own time."""

from __future__ import annotations

import pytest

from twintrain.diagnosis.stopwatch import PATIENCE, Stopwatch, Timer


class Clocks:
    """Both clocks, to be set."""

    def __init__(self) -> None:
        self.wall, self.processor = 50.0, 7.0

    def go(self, wall: float, processor: float) -> None:
        self.wall += wall
        self.processor += processor


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    found = Clocks()
    home = "twintrain.diagnosis.stopwatch.time"
    monkeypatch.setattr(f"{home}.monotonic", lambda: found.wall)
    monkeypatch.setattr(f"{home}.process_time", lambda: found.processor)
    return found


@pytest.mark.parametrize(
    ("wall", "processor", "own"),
    [
        (10, 10, 10),  # alone on the machine
        (10, 17, 10),  # on several cores
        (10, 5, 5),  # half of the time another process was served
        (12, 0.1, 12 / PATIENCE),  # asleep, or starved
    ],
)
def test_seconds_of_its_own(clocks: Clocks, wall: float, processor: float, own: float) -> None:
    watch = Stopwatch()
    clocks.go(wall, processor)
    assert watch.own == pytest.approx(own)
    assert watch.clock == pytest.approx(wall)


def test_a_timer_waits_for_a_process_that_is_not_served(clocks: Clocks) -> None:
    timer = Timer(10)
    clocks.go(20, 9)
    assert not timer.over
    clocks.go(3, 2)
    assert timer.over


def test_sleep_does_not_go_on_for_ever(clocks: Clocks) -> None:
    timer = Timer(10)
    clocks.go(10 * PATIENCE + 1, 0)
    assert timer.over
