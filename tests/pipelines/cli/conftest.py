from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.pipelines.kfp.kfp_server import KfpServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpServer]:
    """KFP's API server, where the commands look for one."""
    pause_and_namespace = (0.01, "kubeflow")
    monkeypatch.setattr("pipelines.kfp.client.Server.__init__.__defaults__", pause_and_namespace)
    monkeypatch.delenv("KF_PIPELINES_TOKEN", raising=False)
    with KfpServer() as running:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", running.address)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()
