"""Talks to a Kubeflow Pipelines API server through KFP's own client: submit, schedule, unschedule,
status.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import kfp
import urllib3
import yaml
from kfp_server_api import ApiException
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
)

from pipelines.kfp.schedule import Schedule
from twintrain.errors import TwintrainError

TOKEN = "KF_PIPELINES_TOKEN"
_ATTEMPTS = 5
_PAGE = 100
# What the server does not give back, or not by the name we know: kept in the schedule's
# description.
_TOLD_TO_US_ALONE = ("timezone", "pipeline", "experiment")
Answer = TypeVar("Answer")


class _Client(kfp.Client):
    """KFP's client without its own 25 seconds of repetitions, which hide what the server said."""

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        return self._healthz_api.healthz_service_get_healthz()


class Server:
    """One API server.

    Args:
        host: its address; None takes KFP's own ways of finding it (KF_PIPELINES_ENDPOINT, the
            cluster this runs in, the current kubectl context). A bearer token is taken from
            KF_PIPELINES_TOKEN; everything else that KFP's client supports (service account tokens,
            IAP, its context file) works as it documents.
        namespace: of the user, on a multi-user installation.
        report: called with a line where a call has to be repeated.
        wait: seconds before the first repetition; doubled each time.

    Raises:
        TwintrainError: it cannot be reached or refuses.
    """

    def __init__(
        self,
        host: str | None,
        namespace: str | None,
        report: Callable[[str], None],
        wait: float = 1.0,
    ) -> None:
        self._report, self._wait, self._namespace = report, wait, namespace
        self._where = host or os.environ.get("KF_PIPELINES_ENDPOINT") or "the cluster kubectl knows"
        # The client's own repetitions are silent and shorter than a restart of the server.
        urllib3.util.retry.Retry.DEFAULT = urllib3.util.retry.Retry(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._client = self._call(
                _Client,
                host=host,
                existing_token=os.environ.get(TOKEN) or None,
                namespace=namespace or "kubeflow",
            )

    def submit(
        self,
        package: Path,
        name: str,
        experiment: str,
        parameters: dict[str, Any],
        root: str,
        account: str | None,
    ) -> str:
        """Start one run of a compiled pipeline.

        Returns:
            its id.
        """
        made = self._create(
            self._client.run_pipeline,
            experiment_id=self._experiment(experiment),
            job_name=name,
            pipeline_package_path=str(package),
            params=parameters,
            pipeline_root=root,
            service_account=account,
        )
        return str(made.run_id)

    def scheduled(self, name: str) -> list[Any]:
        """Every recurring run of that name."""
        wanted = json.dumps(
            {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
        )
        found: list[Any] = []
        token = ""
        while True:
            page = self._call(
                self._client.list_recurring_runs,
                page_token=token,
                page_size=_PAGE,
                namespace=self._namespace,
                filter=wanted,
            )
            found += page.recurring_runs or []
            token = page.next_page_token or ""
            if not token:
                return [run for run in found if run.display_name == name]

    def create_schedule(self, plan: dict[str, Any], package: Path) -> str:
        """Create the recurring run that `planned` describes; its id."""
        made = self._create(
            self._client.create_recurring_run,
            experiment_id=self._experiment(plan["experiment"]),
            job_name=plan["name"],
            description=yaml.safe_dump({key: plan[key] for key in _TOLD_TO_US_ALONE}),
            cron_expression=plan["cron"],
            max_concurrency=plan["max_concurrency"],
            no_catchup=plan["no_catchup"],
            params=plan["parameters"],
            pipeline_package_path=str(package),
            pipeline_root=plan["pipeline_root"],
            service_account=plan["service_account"],
        )
        return str(made.recurring_run_id)

    def delete_schedule(self, identifier: str) -> None:
        """Delete a recurring run; the runs it has started go on."""
        self._call(self._client.delete_recurring_run, identifier)

    def runs_of(self, identifier: str, count: int) -> list[Any]:
        """The newest runs of a recurring run, newest first."""
        wanted = json.dumps(
            {
                "predicates": [
                    {"operation": "EQUALS", "key": "recurring_run_id", "stringValue": identifier}
                ]
            }
        )
        page = self._call(
            self._client.list_runs,
            page_size=count,
            sort_by="created_at desc",
            namespace=self._namespace,
            filter=wanted,
        )
        return list(page.runs or [])

    def _experiment(self, name: str) -> str:
        made = self._call(self._client.create_experiment, name=name, namespace=self._namespace)
        return str(made.experiment_id)

    def _call(self, function: Callable[..., Answer], *arguments: Any, **named: Any) -> Answer:
        """Call the client; again, with a growing pause, while the server is away or overloaded."""
        return self._attempt(_may_pass, function, *arguments, **named)

    def _create(self, function: Callable[..., Answer], *arguments: Any, **named: Any) -> Answer:
        """Call the client; again only where the server cannot have acted, lest there be two of what
        is created.
        """
        return self._attempt(_was_not_heard, function, *arguments, **named)

    def _attempt(
        self,
        again: Callable[[BaseException], bool],
        function: Callable[..., Answer],
        *arguments: Any,
        **named: Any,
    ) -> Answer:
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=self._wait),
            retry=retry_if_exception(again),
            before_sleep=self._say,
            reraise=True,
        )
        try:
            for attempt in attempts:
                # The client prints links to a web page.
                with attempt, contextlib.redirect_stdout(io.StringIO()):
                    answer = function(*arguments, **named)
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            if _may_pass(error) and not again(error):
                raise TwintrainError(
                    f"The API server at {self._where} did not say whether it did what was asked "
                    f"({' '.join(str(error).split())}).",
                    "Look before you ask again: twintrain kubeflow status, and the runs in KFP's "
                    "own pages.",
                ) from None
            raise self._explained(error) from None
        return answer

    def _say(self, state: RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action else 0.0
        self._report(
            f"{self._where} does not answer; again in {pause:g} s (attempt "
            f"{state.attempt_number + 1})"
        )

    def _explained(self, error: Exception) -> TwintrainError:
        if not isinstance(error, ApiException):
            return TwintrainError(
                f"The API server at {self._where} cannot be reached ({type(error).__name__}), "
                f"{_ATTEMPTS} attempts.",
                "Check --host; from outside the cluster: kubectl port-forward -n kubeflow "
                "svc/ml-pipeline 8888:8888",
            )
        try:
            said = json.loads(error.body or "{}").get("message") or error.reason
        except (ValueError, AttributeError):
            said = error.reason
        if error.status in (401, 403):
            what = (
                "the token has expired or is missing"
                if error.status == 401
                else "its rights do not suffice"
            )
            return TwintrainError(
                f"The API server at {self._where} refuses: {what} ({said}).",
                f"Put a fresh token into {TOKEN}: kubectl create token ACCOUNT -n NAMESPACE "
                "--audience pipelines.kubeflow.org",
            )
        return TwintrainError(
            f"The API server at {self._where} answered {error.status}: {said}.", "See its log."
        )


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ApiException):
        return error.status is None or int(error.status) in (429, 502, 503, 504)
    return isinstance(error, (urllib3.exceptions.HTTPError, TimeoutError, ConnectionError))


def _was_not_heard(error: BaseException) -> bool:
    if isinstance(error, ApiException):
        return error.status is not None and int(error.status) in (429, 503)
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    return isinstance(cause, (urllib3.exceptions.NewConnectionError, ConnectionRefusedError))


def planned(schedule: Schedule, package: Path, root: str, account: str | None) -> dict[str, Any]:
    """What a schedule is on the server, in the words of schedule.yaml and cluster.yaml."""
    return {
        "name": schedule.name,
        "cron": schedule.kfp_cron,
        "timezone": schedule.timezone,
        "experiment": schedule.experiment,
        "max_concurrency": 1,
        "no_catchup": True,
        "enabled": True,
        "parameters": dict(sorted(schedule.parameters.items())),
        "pipeline_root": root,
        "service_account": account,
        "pipeline": f"sha256:{hashlib.sha256(package.read_bytes()).hexdigest()}",
    }


def existing(run: Any) -> dict[str, Any]:
    """A recurring run of the server in the same form; what it does not tell is None."""
    try:
        kept = yaml.safe_load(run.description or "") or {}
    except yaml.YAMLError:
        kept = {}
    kept = kept if isinstance(kept, dict) else {}
    trigger = run.trigger.cron_schedule if run.trigger else None
    runtime = run.runtime_config
    return {
        "name": run.display_name,
        "cron": trigger.cron if trigger else None,
        "timezone": kept.get("timezone"),
        "experiment": kept.get("experiment"),
        "max_concurrency": int(run.max_concurrency or 0),
        "no_catchup": bool(run.no_catchup),
        "enabled": run.status != "DISABLED",
        "parameters": dict(sorted((runtime.parameters or {}).items())) if runtime else {},
        "pipeline_root": runtime.pipeline_root if runtime else None,
        "service_account": run.service_account or None,
        "pipeline": kept.get("pipeline"),
    }


def difference(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[str]:
    """What changes on the server, as the lines of a diff; none when nothing does."""
    old, new = (
        [] if side is None else yaml.safe_dump(side, sort_keys=False).splitlines()
        for side in (before, after)
    )
    yield from difflib.unified_diff(old, new, "on the server", "wanted", lineterm="", n=99)
