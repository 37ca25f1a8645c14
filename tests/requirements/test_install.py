from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "requirements"


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", FOLDER / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("libc", "python", "expected"),
    [
        ((2, 36), (3, 11), "glibc-2.28"),
        ((2, 28), (3, 11), "glibc-2.28"),
        ((2, 39), (3, 12), "glibc-2.39"),
        ((2, 41), (3, 13), "glibc-2.39"),
    ],
)
def test_the_set_follows_the_c_library(
    install: ModuleType, libc: tuple, python: tuple, expected: str
) -> None:
    assert install.choose_set(libc, python)[0] == expected


@pytest.mark.parametrize(
    ("libc", "python", "expected"),
    [
        ((2, 36), (3, 13), "Python 3.13 does not fit"),
        ((2, 41), (3, 9), "Python 3.9 does not fit"),
        ((2, 17), (3, 11), "too old"),
    ],
)
def test_what_does_not_fit_is_said_with_a_remedy(
    install: ModuleType, libc: tuple, python: tuple, expected: str
) -> None:
    name, (problem, remedy) = install.choose_set(libc, python)
    assert name is None
    assert expected in problem
    assert remedy


@pytest.mark.parametrize("missing", ["compiler", "headers", "disk"])
def test_what_is_missing_is_said_before_anything_is_installed(
    install: ModuleType, missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if missing == "compiler":
        monkeypatch.setattr(install.shutil, "which", lambda name: None)
    elif missing == "headers":
        monkeypatch.setattr(install.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    else:
        monkeypatch.setattr(install.shutil, "disk_usage", lambda path: SimpleNamespace(free=5.9e9))
    problem, remedy = install.check_host()
    assert {"compiler": "compiler", "headers": "Python.h", "disk": "GB are free"}[
        missing
    ] in problem
    assert remedy


@pytest.mark.parametrize(
    ("made", "asked", "done", "left"),
    [
        ("", [], ["build"], "S"),
        ("", ["--cuda"], ["build", "cuda.txt"], "S cuda C"),
        ("S", [], [], "S"),
        ("S", ["--cuda"], ["cuda.txt"], "S cuda C"),
        ("S cuda C", [], [], "S cuda C"),
        ("S cuda C", ["--cuda"], [], "S cuda C"),
        ("S cuda B", [], ["cuda.txt"], "S cuda C"),
        ("R cuda C", [], ["build", "cuda.txt"], "S cuda C"),
        ("R", [], ["build"], "S"),
    ],
)
def test_only_what_is_missing_is_installed(
    install: ModuleType,
    made: str,
    asked: list[str],
    done: list[str],
    left: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    digest = hashlib.sha256(install.CUDA.read_bytes()).hexdigest()[:16]
    stamp, steps = tmp_path / "stamp", []
    if made:
        stamp.write_text(re.sub("C$", digest, made))
    monkeypatch.setattr(install, "STAMP", stamp)
    monkeypatch.setattr(install.sys, "argv", ["install.py", *asked])
    monkeypatch.setattr(install, "fingerprint", lambda name, project: "S")
    monkeypatch.setattr(install, "build", lambda locked, project: steps.append("build"))
    monkeypatch.setattr(install, "add", lambda locked: steps.append(locked.name))
    assert install.main() == 0
    assert steps == done
    assert stamp.read_text() == re.sub("C$", digest, left)


@pytest.mark.parametrize("name", ["glibc-2.28", "glibc-2.39"])
def test_locked_sets_are_complete_and_hashed(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    pins = re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==\S+", text, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert {
        "tensorflow",
        "tfx",
        "keras",
        "keras-tuner",
        "tensorboard",
        "kfp",
        "pytest",
        "httpx",
    } <= set(pins)
    assert all("--hash=sha256:" in block for block in blocks)
    assert "http" not in re.sub(r"httpx|http-|httpcore|httplib2|httptools|http2", "", text).replace(
        "aiohttp", ""
    )
