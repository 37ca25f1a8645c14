"""A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from twintrain.processes.replacing import put_in_place, replacing

KILLED = """
import os, signal, sys
from pathlib import Path
from twintrain.processes.replacing import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
KEPT_OPEN = """
import sys
from pathlib import Path
from twintrain.processes.replacing import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("theirs")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was brought to the disk, by inode, in order; a rename counts as its own event."""
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_sync(handle: int) -> None:
        events.append(f"inode {os.fstat(handle).st_ino}")
        fsync(handle)

    def note_rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    return events


def inode(path: Path) -> str:
    return f"inode {path.stat().st_ino}"


def test_the_old_content_stands_until_the_block_has_ended_well(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == path.parent
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_of_a_block_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_in_the_middle_changes_nothing_and_the_next_writer_clears_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "record[1].json"
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    with replacing(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with subprocess.Popen(
        [sys.executable, "-c", KEPT_OPEN, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        with replacing(path) as partial:
            partial.write_text("ours")
        assert path.read_text() == "ours"
        other.communicate("")
    assert other.returncode == 0
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, synced: list[str]
) -> None:
    path = tmp_path / "record.json"
    with replacing(path) as partial:
        partial.write_text("new")
        assert synced == []
    assert synced == [inode(path), "rename", inode(tmp_path)]


def test_a_folder_takes_its_name_with_all_that_is_in_it(tmp_path: Path, synced: list[str]) -> None:
    partial = tmp_path / ".data.partial"
    (partial / "inner").mkdir(parents=True)
    (partial / "inner" / "images").write_bytes(b"1")
    put_in_place(partial, tmp_path / "data")
    folder = tmp_path / "data"
    assert (folder / "inner" / "images").read_bytes() == b"1"
    assert not partial.exists()
    before, after = synced[: synced.index("rename")], synced[synced.index("rename") + 1 :]
    assert set(before) == {
        inode(folder),
        inode(folder / "inner"),
        inode(folder / "inner" / "images"),
    }
    assert after == [inode(tmp_path)]


def test_a_file_system_that_cannot_sync_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def only_files(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    with replacing(tmp_path / "record.json") as partial:
        partial.write_text("new")
    assert (tmp_path / "record.json").read_text() == "new"


def test_a_disk_that_cannot_keep_the_content_leaves_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="Input/output"), replacing(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "record.json"
    with replacing(path) as partial:
        partial.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    partial = tmp_path / ".data.partial"
    partial.mkdir()
    put_in_place(partial, tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o777 & ~umask
