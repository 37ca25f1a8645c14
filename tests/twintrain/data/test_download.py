from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from twintrain.data import download, idx
from twintrain.data.download import Dataset, fetch_dataset
from twintrain.errors import TwintrainError

CONTENT = {
    "train-images-idx3-ubyte": bytes(range(256)) * 4000,
    "train-labels-idx1-ubyte": b"labels" * 100,
}
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `PACKED`, understands ranges, and breaks off the first answer of each file it is told
    to.
    """

    break_off: set[str]
    ranges: list[str]

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        if name not in PACKED:
            self.send_error(404)
            return
        body, asked = PACKED[name], self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked:
            self.ranges.append(asked)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        half = name in self.break_off
        self.break_off.discard(name)
        self.wfile.write(body[start : len(body) // 2] if half else body[start:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    Server.break_off, Server.ranges = set(), []
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in CONTENT.items()}
    url = f"http://127.0.0.1:{httpd.server_port}/"
    monkeypatch.setitem(download.DATASETS, "mnist", Dataset(url, md5))
    yield Server
    httpd.shutdown()


def fetch(target: Path, source: Path | None = None) -> list[str]:
    return list(fetch_dataset("mnist", target, source, Console(quiet=True)))


def test_download_verifies_and_writes_checksums(server: type[Server], tmp_path: Path) -> None:
    fetch(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*PACKED, idx.CHECKSUMS}
    for name, digest in idx.read_checksums(tmp_path).items():
        assert hashlib.sha256(PACKED[name]).hexdigest() == digest
    assert all("already there" in line for line in fetch(tmp_path)[:-1])


def test_a_broken_download_goes_on_where_it_stopped(server: type[Server], tmp_path: Path) -> None:
    name = "train-images-idx3-ubyte.gz"
    server.break_off = {name}
    fetch(tmp_path)
    assert (tmp_path / name).read_bytes() == PACKED[name]
    assert server.ranges == [f"bytes={len(PACKED[name]) // 2}-"]


def test_a_wrong_file_is_discarded(
    server: type[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PACKED, "train-labels-idx1-ubyte.gz", gzip.compress(b"something else"))
    with pytest.raises(TwintrainError, match="not the published file"):
        fetch(tmp_path)
    assert not (tmp_path / "train-labels-idx1-ubyte.gz").exists()
    assert not list(tmp_path.glob("*labels*.partial"))


def test_what_the_server_does_not_have_is_said(
    server: type[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(PACKED, "train-labels-idx1-ubyte.gz")
    with pytest.raises(TwintrainError, match="answers 404"):
        fetch(tmp_path)


def test_files_are_taken_from_a_directory_packed_or_not(
    server: type[Server], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train-images-idx3-ubyte.gz").write_bytes(PACKED["train-images-idx3-ubyte.gz"])
    (source / "train-labels-idx1-ubyte").write_bytes(CONTENT["train-labels-idx1-ubyte"])
    fetch(tmp_path / "target", source)
    assert (
        gzip.decompress((tmp_path / "target" / "train-labels-idx1-ubyte.gz").read_bytes())
        == b"labels" * 100
    )
    with pytest.raises(TwintrainError, match="neither"):
        fetch(tmp_path / "other", tmp_path / "target" / "nowhere")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="Did you mean 'fashion-mnist'"):
        list(fetch_dataset("fashon-mnist", tmp_path, None, Console(quiet=True)))
