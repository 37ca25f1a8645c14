from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.kfp import alert
from tests.twintrain.trend.records import record
from tests.twintrain.trend.test_webhook import Hook
from twintrain.trend.record_store import RecordStore


@pytest.fixture
def records(tmp_path: Path) -> str:
    place = str(tmp_path / "records")
    for span in range(3):
        RecordStore(place).put(record(span))
    return place


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with Hook() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("TWINTRAIN_WEBHOOK", running.address)
        yield running
        running.shutdown()


def step(status: Any, records: str) -> int:
    given = status if isinstance(status, str) else json.dumps(status)
    return alert.main(["--status", given, "--records", records])


def test_a_run_that_failed_alerts(
    hook: Hook,
    records: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = {
        "state": "FAILED",
        "pipelineJobResourceName": "twintrain-x7",
        "error": {"message": "Trainer-fit: OOM"},
    }
    assert step(failed, records) == 0
    assert hook.taken == [
        {"text": "Twintrain: the run twintrain-x7 ended as FAILED. Trainer-fit: OOM"}
    ]
    monkeypatch.delenv("TWINTRAIN_WEBHOOK")
    assert step(failed, records) == 2
    assert "Nobody is told" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["SUCCEEDED", "COMPLETE", "complete", "Succeeded", "CACHED"])
def test_after_a_success_it_is_the_trend_that_counts(hook: Hook, records: str, state: str) -> None:
    """COMPLETE is what KFP hands over up to 2.17, from ML Metadata; SUCCEEDED came after it."""
    assert step({"state": state}, records) == 0
    assert hook.taken == []
    RecordStore(records).put(record(3, loop=0.8))
    assert step({"state": state}, records) == 0
    assert hook.taken[0]["text"].startswith("Twintrain, recipe standard, span 3")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"state": "RUNNING", "pipelineJobResourceName": "x7"}, "the run x7 ended as RUNNING."),
        ({"state": "Stopping"}, "ended as Stopping."),
        ({"state": "CANCELED", "error": None}, "ended as CANCELED."),
        ({}, "ended as UNKNOWN."),
    ],
)
def test_any_other_state_is_said_as_it_is(
    hook: Hook, records: str, status: dict[str, Any], said: str
) -> None:
    assert step(status, records) == 0
    (told,) = hook.taken
    assert said in told["text"]


@pytest.mark.parametrize(
    ("status", "said"), [("{{$.status}}", "is no JSON: "), ("[]", "is no JSON object: '[]'")]
)
def test_a_status_that_is_none_is_refused(
    hook: Hook, records: str, status: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert step(status, records) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert hook.taken == []
