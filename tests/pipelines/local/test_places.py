from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.config import RunConfig
from pipelines.local.places import ROOT_FREE, TEMPORARY_FREE, check_name, look_at_places
from tests.conftest import DATA
from twintrain.errors import TwintrainError
from twintrain.recipe.recipe import Recipe


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    root = tmp_path / "root"
    root.mkdir()
    return RunConfig(recipe=Recipe(), data=DATA, schema_file=DATA / "schema.pbtxt", root=root)


def test_a_fresh_root_and_one_of_an_earlier_run_are_well(config: RunConfig) -> None:
    look_at_places(config)
    (config.root / "artifacts").mkdir()
    with sqlite3.connect(config.metadata_db) as database:
        database.execute("CREATE TABLE Type (id INTEGER)")
    database.close()
    look_at_places(config)
    assert sorted(path.name for path in config.root.iterdir()) == [
        "artifacts",
        "logs",
        "metadata.sqlite",
    ]


def damaged_page(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("CREATE TABLE a (b TEXT)")
        database.executemany("INSERT INTO a VALUES (?)", [("x" * 500,)] * 200)
    database.close()
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes(4096)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda path: path.write_bytes(b"garbage" * 1000),
            "cannot be used: file is not a database",
        ),
        (damaged_page, "is damaged: |malformed"),
        (lambda path: path.mkdir(), "cannot be used: "),
    ],
    ids=["garbage", "a page", "a directory"],
)
def test_metadata_that_is_damaged_is_told(
    config: RunConfig, damage: Callable[[Path], object], said: str
) -> None:
    damage(config.metadata_db)
    with pytest.raises(TwintrainError, match=said) as caught:
        look_at_places(config)
    assert "Move it away" in caught.value.remedy
    assert "\n" not in caught.value.problem


def test_metadata_that_is_read_only_is_told(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite3.connect(config.metadata_db).close()
    config.metadata_db.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anything
    with pytest.raises(TwintrainError, match=r"metadata\.sqlite cannot be written"):
        look_at_places(config)


@pytest.mark.parametrize("name", ["logs", "artifacts", "state"])
@pytest.mark.parametrize("error", [errno.EACCES, errno.ENOSPC, errno.EROFS])
def test_a_directory_that_cannot_be_written_is_told(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, name: str, error: int
) -> None:
    (config.root / name).mkdir()
    real = tempfile.TemporaryFile

    def refused(*, dir: Path) -> object:
        if dir == config.root / name:
            raise OSError(error, os.strerror(error))
        return real(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(TwintrainError, match=f"{name} cannot be written: {os.strerror(error)}"):
        look_at_places(config)


def test_a_file_in_place_of_a_directory_is_told(config: RunConfig) -> None:
    (config.root / "logs").write_text("")
    with pytest.raises(TwintrainError, match="logs cannot be written: Not a directory"):
        look_at_places(config)


def test_too_little_space_is_told_before_anything_starts(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage("/"))

    def free(root: int, temporary: int) -> None:
        there = {config.root: root, Path(tempfile.gettempdir()): temporary}
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, there[path]))

    free(ROOT_FREE * 10, TEMPORARY_FREE)
    look_at_places(config)
    free(ROOT_FREE * 10, TEMPORARY_FREE - 1)
    with pytest.raises(TwintrainError, match=r"has 20 MB free, and the run needs 20\.\n.*TMPDIR"):
        look_at_places(config)
    free(ROOT_FREE + 1, TEMPORARY_FREE)  # the data needs some, too
    with pytest.raises(TwintrainError, match=r"root has 20 MB free, and the run needs 4\d"):
        look_at_places(config)


def test_without_a_temporary_directory_it_says_so(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(TwintrainError, match="No temporary directory can be written"):
        look_at_places(config)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\nb", r"a\\nb' has characters in its name that cannot be printed"),
        ("a\udcffb", "cannot be printed"),
        ("[bold]x", r"has \[ and \] in its name"),
        ("a*", r"has \* in its name"),
    ],
)
def test_a_name_that_cannot_be_used_is_told(name: str, said: str) -> None:
    check_name(Path("/runs/plain, with (every) other-sign é"))
    with pytest.raises(TwintrainError, match=said):
        check_name(Path("/runs") / name)
