"""Talks to a Kubeflow Pipelines API server through KFP's own client: submit, schedule, unschedule,
status.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import kfp
import urllib3
import yaml
from kfp_server_api import ApiClient, ApiException, ExperimentServiceApi, V2beta1Experiment
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
)

from pipelines.kfp.recurring_run import TOLD_TO_US_ALONE
from twintrain.errors import TwintrainError
from twintrain.parsing.addresses import refuse_credentials

TOKEN = "KF_PIPELINES_TOKEN"  # noqa: S105 - the name of a variable
_ATTEMPTS = 5
_PAGE = 100
# What has a name on the server, and what its id is called.
KINDS = {
    "recurring_runs": "recurring_run_id",
    "pipelines": "pipeline_id",
    "experiments": "experiment_id",
}
Answer = TypeVar("Answer")


_REMEDIES = {
    400: "Mend what it names.",
    404: "Check --host, or look whether it is gone meanwhile: twintrain kubeflow status",
    409: "There is one already: look at twintrain kubeflow status, and in KFP's own pages.",
}


class RefusedError(TwintrainError):
    """The server answered, and not with what was asked.

    Args:
        problem, remedy: see `TwintrainError`.
        status: of HTTP.
    """

    def __init__(self, problem: str, remedy: str, status: int) -> None:
        super().__init__(problem, remedy)
        self.status = status

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.problem, self.remedy, self.status)


class NoJsonError(Exception):
    """An answer of status 200 that is not of KFP's API: a log-in page, for instance."""


class _Client(kfp.Client):
    """KFP's client, which tells the server's namespace from the user's, and without its own 25
    seconds of repetitions, which hide what the server said.
    """

    def __init__(self, server_namespace: str, namespace: str | None, **settings: Any) -> None:
        self._server_namespace = server_namespace
        super().__init__(namespace=namespace or "kubeflow", **settings)

    def _load_config(
        self, host: str | None, client_id: str | None, namespace: str, *settings: Any
    ) -> Any:
        # KFP's looks for the server's Service in the user's namespace.
        return super()._load_config(host, client_id, self._server_namespace, *settings)

    @property
    def api_client(self) -> ApiClient:
        """What all calls go through."""
        return self._experiment_api.api_client

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
        server_namespace: where Kubeflow Pipelines is installed; counts where there is no host.

    Raises:
        TwintrainError: it cannot be reached or refuses, or there are credentials in its address.
    """

    def __init__(
        self,
        host: str | None,
        namespace: str | None,
        report: Callable[[str], None],
        wait: float = 1.0,
        server_namespace: str = "kubeflow",
    ) -> None:
        refuse_credentials(host or "", "The server's address")
        self._report, self._wait = report, wait
        self._where = host or os.environ.get("KF_PIPELINES_ENDPOINT") or "the cluster kubectl knows"
        # The client's own repetitions are silent and shorter than a restart of the server.
        urllib3.util.retry.Retry.DEFAULT = urllib3.util.retry.Retry(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._client = self._call(
                _Client,
                server_namespace,
                namespace,
                host=host,
                existing_token=os.environ.get(TOKEN) or None,
            )
        _refuse_pages(self._client.api_client)
        self._namespace = namespace or self._client.get_user_namespace() or None

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

    def listed(self, kind: str, name: str, filtered: bool = True) -> list[Any]:
        """Everything of that name.

        Args:
            kind: a key of `KINDS`.
            name: as it is shown.
            filtered: have the server look for it; otherwise it lists all there are.
        """
        found: list[Any] = []
        token = ""
        while True:
            page = self._call(
                getattr(self._client, f"list_{kind}"),
                page_token=token,
                page_size=_PAGE,
                namespace=self._namespace,
                filter=_equal("display_name", name) if filtered else None,
            )
            found += getattr(page, kind) or []
            token = page.next_page_token or ""
            if not token:
                return [one for one in found if one.display_name == name]

    def scheduled(self, name: str) -> list[Any]:
        """Every recurring run of that name."""
        return self.listed("recurring_runs", name)

    def remove(self, kind: str, identifier: str) -> None:
        """Delete one thing of a kind of `KINDS`; a pipeline with its versions."""
        if kind == "pipelines":
            page = self._call(
                self._client.list_pipeline_versions, pipeline_id=identifier, page_size=_PAGE
            )
            for version in page.pipeline_versions or []:
                self._call(
                    self._client.delete_pipeline_version, identifier, version.pipeline_version_id
                )
        self._call(getattr(self._client, f"delete_{kind.removesuffix('s')}"), identifier)

    def upload(self, package: Path, name: str) -> str:
        """Upload a compiled pipeline; its id."""
        made = self._create(
            self._client.upload_pipeline, str(package), name, namespace=self._namespace
        )
        return str(made.pipeline_id)

    def ask(self, path: str, **query: Any) -> dict[str, Any]:
        """What a path of the API answers, as it is; the client's models drop what they do not
        know, the version for instance.
        """
        given = [(name, value) for name, value in query.items() if value is not None]
        answer: dict[str, Any] = self._call(
            self._client.api_client.call_api,
            f"/apis/v2beta1/{path}",
            "GET",
            query_params=given,
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
        )
        return answer

    @property
    def namespace(self) -> str | None:
        """The user's, on a multi-user installation."""
        return self._namespace

    def create_schedule(self, plan: dict[str, Any], package: Path) -> str:
        """Create the recurring run that `planned` describes; its id."""
        made = self._create(
            self._client.create_recurring_run,
            experiment_id=self._experiment(plan["experiment"]),
            job_name=plan["name"],
            description=yaml.safe_dump({key: plan[key] for key in TOLD_TO_US_ALONE}),
            cron_expression=plan["cron"],
            max_concurrency=plan["max_concurrency"],
            no_catchup=plan["no_catchup"],
            enabled=plan["enabled"],
            params=plan["parameters"],
            pipeline_package_path=str(package),
            pipeline_root=plan["pipeline_root"],
            service_account=plan["service_account"],
        )
        return str(made.recurring_run_id)

    def runs_of(self, identifier: str, count: int) -> list[Any]:
        """The newest runs of a recurring run, newest first."""
        page = self._call(
            self._client.list_runs,
            page_size=count,
            sort_by="created_at desc",
            namespace=self._namespace,
            filter=_equal("recurring_run_id", identifier),
        )
        return list(page.runs or [])

    def _experiment(self, name: str) -> str:
        """The experiment's id; made when missing. The client's own look-up has no way with signs
        that the server unescapes.
        """
        for one in self.listed("experiments", name):
            return str(one.experiment_id)
        made = self._create(
            ExperimentServiceApi(self._client.api_client).experiment_service_create_experiment,
            experiment=V2beta1Experiment(display_name=name, namespace=self._namespace),
        )
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
        except (ApiException, NoJsonError, urllib3.exceptions.HTTPError, OSError) as error:
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
        if isinstance(error, NoJsonError):
            return TwintrainError(
                f"{self._where} answers with a page, not as KFP's API server: {error}.",
                f"Check --host, and {TOKEN} if the page asks who you are.",
            )
        if not isinstance(error, ApiException):
            return TwintrainError(
                f"The API server at {self._where} cannot be reached ({type(error).__name__}), "
                f"{_ATTEMPTS} attempts.",
                "Check --host; from outside the cluster: kubectl port-forward -n kubeflow "
                "svc/ml-pipeline 8888:8888",
            )
        if error.status in (401, 403):
            what = (
                "the token has expired or is missing"
                if error.status == 401
                else "its rights do not suffice"
            )
            return TwintrainError(
                f"The API server at {self._where} refuses: {what} ({_said(error)}).",
                f"Put a fresh token into {TOKEN}: kubectl create token ACCOUNT -n NAMESPACE "
                "--audience pipelines.kubeflow.org",
            )
        return RefusedError(
            f"The API server at {self._where} answered {error.status}: {_said(error)}.",
            _REMEDIES.get(int(error.status), "Its log says more."),
            int(error.status),
        )


def _said(error: ApiException) -> str:
    """What the server gave as its reason, in one line."""
    try:
        said = json.loads(error.body or "{}").get("message") or error.reason
    except (ValueError, AttributeError):
        said = error.reason  # a page of some proxy's
    return " ".join(str(said).split()).rstrip(".")


def _equal(key: str, value: str) -> str:
    """A filter for what has that value.

    KFP's server (2.17: list_request_util.go) unescapes a filter once more than HTTP does, so that
    %41 becomes A and + a space. JSON can write both signs in a way that no unescaping touches.
    """
    predicate = {"operation": "EQUALS", "key": key, "stringValue": value}
    text = json.dumps({"predicates": [predicate]})
    return text.replace("%", "\\u0025").replace("+", "\\u002b")


def _refuse_pages(client: ApiClient) -> None:
    """Have the client raise `NoJsonError` where it would make an empty object of a page."""
    theirs = client.deserialize

    def deserialize(response: Any, response_type: Any) -> Any:
        try:
            json.loads(response.data)
        except ValueError:
            begins = " ".join(str(response.data).split())[:60]
            raise NoJsonError(f"it begins {begins!r}") from None
        return theirs(response, response_type)

    client.deserialize = deserialize


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ApiException):
        return error.status is None or int(error.status) in (429, 502, 503, 504)
    return isinstance(error, (urllib3.exceptions.HTTPError, TimeoutError, ConnectionError))


def _was_not_heard(error: BaseException) -> bool:
    if isinstance(error, ApiException):
        return error.status is not None and int(error.status) in (429, 503)
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    return isinstance(cause, (urllib3.exceptions.NewConnectionError, ConnectionRefusedError))
