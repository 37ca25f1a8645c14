from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from twintrain.processes.digests import file_digest, files_digest, folder_digest

NAMES = st.dictionaries(st.sampled_from(["a", "b", "ab", "c/a", "c/b"]), st.binary(max_size=4))


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@given(NAMES, NAMES)
def test_equal_digests_are_of_equal_files(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        ours, theirs = written(Path(first), one), written(Path(second), other)
        assert (folder_digest(ours) == folder_digest(theirs)) == (one == other)


def test_a_file_is_a_folder_of_one_and_some_do_not_count(tmp_path: Path) -> None:
    written(tmp_path, {"a": b"1", "b/note": b"2"})
    assert folder_digest(tmp_path / "a") == files_digest([tmp_path / "a"], tmp_path)
    assert folder_digest(tmp_path, ("note",)) == folder_digest(tmp_path / "a")
    assert file_digest(tmp_path / "a").startswith("6b86b273")  # sha256sum
