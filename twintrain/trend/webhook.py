"""Telling people: the trend's alerts as a message to a webhook that takes Slack's format."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from twintrain.errors import TwintrainError
from twintrain.trend.monitor import Trend

VARIABLE = "TWINTRAIN_WEBHOOK"
_ATTEMPTS, _TIMEOUT = 4, 10.0


def message(trends: list[Trend]) -> str:
    """What is to be told of the newest spans, one line per alert; empty when there is nothing."""
    lines = []
    for trend in trends:
        if trend.alerts:
            newest = trend.looks[-1].record
            lines.append(
                f"Twintrain, recipe {trend.recipe_name}, span {newest.span}: {newest.sentence}"
            )
            lines += [f"• {alert.kind}: {alert.text}" for alert in trend.alerts]
            if newest.report:
                lines.append(f"Report: {newest.report}")
    return "\n".join(lines)


def webhook() -> str | None:
    """The address in the environment; None when there is none. It is a secret and is never written
    anywhere.
    """
    return os.environ.get(VARIABLE) or None


def post(address: str, text: str, wait: float = 1.0) -> None:
    """Send a text as Slack's `{"text": …}`, again after 1, 2 and 4 times `wait` seconds where the
    server is at fault.

    Raises:
        TwintrainError: it was not taken; names the host and the answer, not the address.
    """
    host = urlsplit(address).hostname or "?"
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=wait),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    try:
        for attempt in attempts:
            with attempt:
                httpx.post(address, json={"text": text}, timeout=_TIMEOUT).raise_for_status()
    except httpx.HTTPStatusError as error:
        problem = f"The webhook at {host} answered {error.response.status_code}."
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = f"The webhook at {host} cannot be reached ({type(error).__name__})."
    else:
        return
    # Outside the handlers: httpx's own exception carries the whole address, which would end up in a
    # log.
    raise TwintrainError(problem, f"Check the address in {VARIABLE}.")


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, httpx.TransportError)
