"""The copy of a script's folder, and that its original stays as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from twintrain.diagnosis.scripts import workplace
from twintrain.diagnosis.scripts.workplace import Copies, copy_folder, root_of


def test_all_but_what_no_training_needs_is_copied(tmp_path: Path) -> None:
    here = tmp_path / "here"
    for name in ("a.py", "data/x.csv", ".git/config", "__pycache__/a.pyc"):
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    copy_folder(here, tmp_path / "copy")
    found = {str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*.*")}
    assert {"a.py", "data/x.csv"} <= found
    assert not any("git" in name or "pycache" in name for name in found)


def test_large_data_is_linked_and_what_is_written_over_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace, "MOST_BYTES", 10)
    here = tmp_path / "here"
    here.mkdir()
    for name in ("big.csv", "model.keras"):
        (here / name).write_text("x" * 100)
    copy_folder(here, tmp_path / "copy")
    assert (tmp_path / "copy" / "big.csv").is_symlink()
    assert not (tmp_path / "copy" / "model.keras").is_symlink()


def test_a_script_is_run_where_the_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "src" / "train.py"
    script.parent.mkdir()
    script.write_text("")
    assert root_of(script, tmp_path) == tmp_path
    assert root_of(script, tmp_path / "elsewhere") == script.parent
    monkeypatch.setattr(workplace, "MOST_FILES", 1)
    assert root_of(script, tmp_path) == script.parent


CHANGES = (
    "open(target, 'w')",
    "open(target, 'a')",
    "os.remove(target)",
    "os.rename(target, target + '2')",
    "shutil.rmtree(os.path.dirname(target))",
    "os.mkdir(target + '_folder')",
    "pathlib.Path(target).write_text('x')",
)


def test_the_original_cannot_be_changed(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "data.csv").write_text("1")
    code = [
        "import os, pathlib, shutil",
        "from twintrain.diagnosis.scripts.workplace import guard",
        f"target = {str(here / 'data.csv')!r}",
        f"guard([{str(here)!r}])",
        "open(target).read()",
        "refused = 0",
    ]
    for change in CHANGES:
        code += [f"try:\n    {change}\nexcept PermissionError:\n    refused += 1"]
    code += ["print(refused)"]
    # In a process of its own: an audit hook stays for ever.
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == len(CHANGES)
    assert [p.name for p in here.iterdir()] == ["data.csv"]


def test_paths_are_told_as_they_were_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace, "guard", lambda folders: None)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("")
    copies = Copies([Path("src/train.py")], tmp_path, tmp_path / "copy")
    assert copies.as_named(f'File "{copies.files[0]}", line 3') == 'File "src/train.py", line 3'
