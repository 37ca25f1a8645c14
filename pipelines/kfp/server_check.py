"""Asks the API server at hand what of ours it takes, with things of a throw-away name that are
removed again, also when it is interrupted.
"""

from __future__ import annotations

import re
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.kfp.client import KINDS, RefusedError, Server
from pipelines.kfp.recurring_run import difference, existing, planned
from pipelines.kfp.schedule import Schedule
from twintrain.errors import TwintrainError

# kubeflow/README.md says with which of these what was tried.
OLDEST, NEWEST = (2, 14), (2, 17)
_REFUSED_CRON = "0 0 3 * * 7"
# What is asked, in order; a method of `ServerCheck` each.
QUESTIONS = {
    "version": "ask for the version",
    "upload": "upload the compiled pipeline",
    "find_pipeline": "find the pipeline by its name, which has a + and a %",
    "create": "create an experiment and a recurring run, disabled, of that name",
    "find_recurring_run": "find both by that name, as they were sent",
    "wrong_parameter": "send a recurring run, disabled, whose span is no number: to be refused",
    "wrong_cron": f"send a recurring run, disabled, at {_REFUSED_CRON!r}: to be refused",
}
CLEAN_UP = "remove the recurring runs, the pipeline and the experiment of that name"


class _OtherwiseError(Exception):
    """The server did something else than what we count on."""


class ServerCheck:
    """One check of one server.

    Args:
        server: it.
        package: the compiled pipeline.
        root: the pipeline root.
        account: the service account of runs; None for the server's own.
        report: called with a line for every answer.
    """

    def __init__(
        self,
        server: Server,
        package: Path,
        root: str,
        account: str | None,
        report: Callable[[str], None],
    ) -> None:
        self._server, self._package, self._report = server, package, report
        number = uuid.uuid4().hex[:8]
        self.name = f"twintrain-check 100%+{number}"
        self._pipeline_name = self.name
        self._sent = False  # whether there can be anything to remove
        schedule = Schedule(
            name=self.name,
            cron="0 3 1 1 *",
            timezone="UTC",
            experiment=self.name,
            parameters={"span": 1, "overrides": ["training.epochs=1"]},
        )
        self._plan = planned(schedule, package, root, account) | {"enabled": False}

    def run(self) -> list[str]:
        """Ask everything, and clean up.

        Returns:
            what the server does not take, a line each.

        Raises:
            TwintrainError: it cannot be reached, or something could not be removed; says what.
        """
        failed = []
        with self._cleaned_up():
            for method, question in QUESTIONS.items():
                try:
                    said = getattr(self, f"_{method}")()
                except (RefusedError, _OtherwiseError) as error:
                    problem = error.problem if isinstance(error, RefusedError) else str(error)
                    failed.append(f"{question}: {problem}")
                    self._report(f"NO  {failed[-1]}")
                else:
                    self._report(f"ok  {question}: {said}")
        return failed

    def _version(self) -> str:
        told = self._server.ask("healthz")
        if told.get("pipeline_store") == "kubernetes":
            # There, a pipeline's name is that of a Kubernetes object.
            self._pipeline_name = re.sub("[^a-z0-9-]+", "-", self.name)
        tag = str(told.get("tag_name") or "unknown")
        kind = "multi-user" if told.get("multi_user") else "single-user"
        known = re.match(r"v?(\d+)\.(\d+)", tag)
        if known is None:
            return f"it does not say which ({tag!r}), {kind}, {self._metadata()}"
        number = (int(known[1]), int(known[2]))
        if number < OLDEST:
            raise _OtherwiseError(f"{tag} is older than 2.14, whose platform document it needs")
        note = ", newer than any it was tried with" if number > NEWEST else ""
        return f"{tag}{note}, {kind}, {self._metadata()}"

    def _metadata(self) -> str:
        try:
            self._server.ask("artifacts", page_size=1, namespace=self._server.namespace)
        except TwintrainError as error:
            if isinstance(error, RefusedError) and error.status in (404, 501):
                return "with ML Metadata"
            return "with or without ML Metadata, which it does not say"
        return "without ML Metadata"

    def _upload(self) -> str:
        self._sent = True
        return self._server.upload(self._package, self._pipeline_name)

    def _find_pipeline(self) -> str:
        return str(self._only("pipelines", self._pipeline_name).pipeline_id)

    def _create(self) -> str:
        self._sent = True
        return self._server.create_schedule(self._plan, self._package)

    def _find_recurring_run(self) -> str:
        self._only("experiments", self.name)
        there = self._only("recurring_runs", self.name)
        changed = [
            line
            for line in difference(existing(there), self._plan)
            if re.match(r"[-+](?![-+])", line)
        ]
        if changed:
            raise _OtherwiseError(f"it has come back otherwise: {', '.join(changed)}")
        return f"service account {there.service_account}"

    def _wrong_parameter(self) -> str:
        return self._refused({"parameters": {"span": "latest"}})

    def _wrong_cron(self) -> str:
        return self._refused({"cron": _REFUSED_CRON})

    def _refused(self, change: dict[str, Any]) -> str:
        self._sent = True
        try:
            self._server.create_schedule(self._plan | change, self._package)
        except RefusedError as error:
            if error.status != 400:
                raise
            return error.problem
        raise _OtherwiseError("it was taken")

    def _only(self, kind: str, name: str) -> Any:
        found = self._server.listed(kind, name)
        if len(found) != 1:
            raise _OtherwiseError(f"{len(found)} {kind.replace('_', ' ')} were found, not 1")
        return found[0]

    @contextmanager
    def _cleaned_up(self) -> Iterator[None]:
        """Remove all of this check's names, whatever happens; a Ctrl-C waits until that is done."""
        try:
            yield
        finally:
            handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                left = [line for kind in KINDS if self._sent for line in self._remove(kind)]
            finally:
                signal.signal(signal.SIGINT, handler)
            if left:
                raise TwintrainError(
                    f"The check's own things could not be removed: {'; '.join(left)}.",
                    "Remove them in KFP's own pages.",
                )
            self._report(f"ok  {CLEAN_UP}")

    def _remove(self, kind: str) -> Iterator[str]:
        """Remove what has the check's name; yields what is still there.

        Found without the server's filter, which is itself in question, and by name: what was being
        created when Ctrl-C came has no id here.
        """
        try:
            names = {self.name, self._pipeline_name}
            for one in (one for name in names for one in self._server.listed(kind, name, False)):
                self._server.remove(kind, getattr(one, KINDS[kind]))
        except TwintrainError as error:
            yield f"{kind.replace('_', ' ')} called {self.name} ({error.problem})"
