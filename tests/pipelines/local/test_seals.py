"""Results of earlier runs are taken over only while their files are what was made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.pipelines.local.two_nodes import Root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    made = Root(tmp_path, monkeypatch)
    assert made.run() == ([False, False], [])
    assert made.run() == ([True, True], [])
    return made


def alter(path: Path, old: str, new: str) -> None:
    """Change a file's content, and neither its size nor its time."""
    before = path.stat()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def test_what_was_changed_is_named_and_made_anew_with_all_that_follows(root: Root) -> None:
    changed = root.file("First")
    alter(changed, "21", "99")
    cached, told = root.run()
    assert cached == [False, False]
    (text,) = told
    assert text == f"{changed.parent} was changed after First made it, and is made anew."
    assert json.loads(root.file("Second").read_text()) == {"figure": 42}
    assert root.file("First") != changed
    assert root.run() == ([True, True], [])


def test_what_comes_before_it_is_taken_over(root: Root) -> None:
    alter(root.file("Second"), "42", "43")
    cached, told = root.run()
    assert (cached, len(told)) == ([True, False], 1)
    assert json.loads(root.file("Second").read_text()) == {"figure": 42}


@pytest.mark.parametrize("harm", ["cut", "removed", "added", "renamed"])
def test_files_that_are_cut_removed_added_or_renamed(root: Root, harm: str) -> None:
    path = root.file("First")
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "removed":
        path.unlink()
    elif harm == "added":
        (path.parent / "more").write_text("")
    else:
        path.rename(path.with_name("other.json"))
    cached, told = root.run()
    assert (cached, len(told)) == ([False, False], 1)


def test_a_folder_that_is_gone_is_made_anew(root: Root) -> None:
    path = root.file("First")
    path.unlink()
    path.parent.rmdir()
    assert root.run() == ([False, False], [])


def test_a_result_whose_run_ended_before_it_was_sealed_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ML Metadata calls it complete, and nobody knows whether its files are whole."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    made = Root(tmp_path, monkeypatch)
    with monkeypatch.context() as ended:
        ended.setattr("pipelines.local.runner.seal", killed)
        with pytest.raises(KeyboardInterrupt):
            made.run()
    cached, told = made.run()
    assert cached == [False, False]
    assert [text.partition(" ")[2] for text in told] == [
        "was not sealed (its run ended just then, or an older version made it), and is made anew."
    ]
    assert made.run() == ([True, True], [])
