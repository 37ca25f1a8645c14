from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.twintrain.trend.records import record
from twintrain.errors import TwintrainError
from twintrain.trend.monitor import judge
from twintrain.trend.webhook import message, post


class Hook(ThreadingHTTPServer):
    """A webhook that answers as told and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.taken: list[dict] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/T0/SECRET"


class Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status == 200:
            self.server.taken.append(body)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_alerts_arrive_in_slacks_form(hook: Hook) -> None:
    text = message(judge([record(0), record(1, loop=0.8)]))
    post(hook.address, text)
    assert hook.taken == [{"text": text}]
    assert text.startswith(
        "Twintrain, recipe standard, span 1: Span 1.\n• gap: overall: the loop is 15.00 points "
        "below"
    )


def test_a_quiet_trend_has_no_message() -> None:
    assert message(judge([record(0), record(1)])) == ""


def test_a_server_that_stumbles_is_asked_again(hook: Hook) -> None:
    hook.answers = [503, 429]
    post(hook.address, "hello", wait=0.01)
    assert hook.taken == [{"text": "hello"}]


def test_a_refusal_ends_at_once_and_keeps_the_secret(hook: Hook) -> None:
    hook.answers = [404, 404]
    with pytest.raises(TwintrainError, match=r"at 127\.0\.0\.1 answered 404") as caught:
        post(hook.address, "hello", wait=0.01)
    assert hook.answers == [404]
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None


def test_nobody_there() -> None:
    with pytest.raises(TwintrainError, match=r"at 127\.0\.0\.1 cannot be reached \(ConnectError\)"):
        post("http://127.0.0.1:9/SECRET", "hello", wait=0.01)
