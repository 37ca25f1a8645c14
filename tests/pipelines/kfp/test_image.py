from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.kfp.image import build_image
from twintrain.errors import TwintrainError

DIGEST = f"sha256:{'ab' * 32}"


def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digests: list[str] | None) -> Path:
    """A docker that writes down what it is called with; where it keeps that."""
    calls = tmp_path / "calls"
    script = tmp_path / "docker"
    script.write_text(
        f'#!/bin/sh\necho "$1" >> {calls}\n'
        f"[ \"$1\" = image ] && echo '{json.dumps(digests)}'\nexit 0\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return calls


def build(image: str, push: bool = True) -> str | None:
    return build_image(image, cuda=False, base=None, push=push, further=[])


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("registry:5000/ml/twintrain:1", "registry:5000/ml/twintrain"),
        ("registry:5000/ml/twintrain", "registry:5000/ml/twintrain"),
        ("docker.io/ml/twintrain:1", "ml/twintrain"),
    ],
)
def test_a_push_says_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str, told: str
) -> None:
    elsewhere = f"elsewhere/twintrain@sha256:{'cd' * 32}"
    calls = engine(tmp_path, monkeypatch, [elsewhere, f"{told}@{DIGEST}"])
    assert build(image) == DIGEST
    assert calls.read_text().split() == ["info", "build", "push", "image"]


def test_what_is_not_pushed_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = engine(tmp_path, monkeypatch, None)
    assert build("twintrain:1", push=False) is None
    assert calls.read_text().split() == ["info", "build"]


def test_an_engine_that_does_not_tell_and_a_name_with_a_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = engine(tmp_path, monkeypatch, None)
    with pytest.raises(TwintrainError, match="does not say under which digest"):
        build("registry/twintrain:1")
    calls.unlink()
    with pytest.raises(TwintrainError, match="is named by its digest"):
        build(f"registry/twintrain@{DIGEST}")
    assert not calls.exists()
