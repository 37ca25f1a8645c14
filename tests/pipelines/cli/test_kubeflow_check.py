from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from pipelines.config import REPOSITORY
from pipelines.kfp.client import Server
from tests.pipelines.kfp.kfp_server import KfpServer
from twintrain.errors import TwintrainError


def check(*more: str) -> Result:
    given = ["kubeflow", "check", "--cluster", str(REPOSITORY / "kubeflow/cluster.yaml"), *more]
    return CliRunner().invoke(app, given)


def nothing_is_left(server: KfpServer) -> bool:
    stores = (server.recurring, server.pipelines, server.versions, server.experiments, server.runs)
    return not any(stores)


@pytest.mark.parametrize("multi_user", [False, True])
def test_a_server_that_takes_everything(server: KfpServer, multi_user: bool) -> None:
    server.multi_user = multi_user
    done = check(*(["--namespace", "ml-team"] if multi_user else []))
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith(("ok", "NO"))]
    kind = "multi-user" if multi_user else "single-user"
    assert lines[0] == f"ok  ask for the version: 2.17.0, {kind}, with ML Metadata"
    assert [line[:2] for line in lines] == ["ok"] * 8
    assert "answered 400: input parameter span requires another type." in lines[5]
    assert nothing_is_left(server)
    assert "POST /apis/v2beta1/runs" not in server.calls


def test_a_dry_run_asks_nothing(server: KfpServer) -> None:
    done = check("--dry-run")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) == 8
    assert all(line.startswith("would ") for line in done.output.splitlines())
    assert server.calls == []


def test_a_server_without_ml_metadata_is_said(server: KfpServer) -> None:
    server.native, server.tag = True, "2.18.0"
    done = check()
    assert "2.18.0, newer than any it was tried with, single-user, without ML" in done.output
    assert nothing_is_left(server)


def test_a_server_that_is_too_old_or_too_lenient_is_refused(
    server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tag = "2.4.1"
    monkeypatch.setattr("tests.pipelines.kfp.kfp_server.parses", lambda cron: True)
    done = check()
    assert isinstance(done.exception, TwintrainError)
    assert "The server does not take 2 of 7." in str(done.exception)
    assert "NO  ask for the version: 2.4.1 is older than 2.14" in done.output
    assert "at '0 0 3 * * 7': to be refused: it was taken" in done.output
    assert nothing_is_left(server)


def test_after_ctrl_c_nothing_is_left(server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes when the recurring run is made and its id has not arrived yet."""
    create = Server.create_schedule

    def interrupted(self: Server, *arguments: Any) -> str:
        create(self, *arguments)
        assert server.recurring
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "create_schedule", interrupted)
    done = check()
    assert done.exit_code == 130
    assert nothing_is_left(server)


def test_what_cannot_be_removed_is_named(
    server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = Server.remove

    def refused(self: Server, kind: str, identifier: str) -> None:
        if kind == "pipelines":
            raise TwintrainError("its rights do not suffice")
        remove(self, kind, identifier)

    monkeypatch.setattr(Server, "remove", refused)
    said = str(check().exception)
    assert "could not be removed: pipelines called twintrain-check 100%+" in said
    assert "(its rights do not suffice)" in said
    assert server.recurring == server.experiments == {}


def test_nobody_there_and_a_page(server: KfpServer) -> None:
    done = check("--host", "http://127.0.0.1:9")
    assert "cannot be reached" in str(done.exception)
    server.answers = [(200, "{}"), *[(200, "<html>Log in</html>")] * 9]
    said = str(check().exception)
    assert "answers with a page" in said
    assert "could not be removed" not in said  # nothing was sent
