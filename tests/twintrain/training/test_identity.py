"""Whether an exported twin is still what was exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twintrain.parsing.sealed import sealed_json
from twintrain.training.identity import Identity


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables" / "data").write_bytes(b"weights")
    known = {"recipe_hash": "r", "trained_on": "t", "weights": "w", "code": "c"}
    whole = Identity.with_files(Identity(twin="loop", seed=0, **known), tmp_path)
    (tmp_path / Identity.FILE).write_text(sealed_json(whole))
    return tmp_path


def test_it_is_what_was_exported(model: Path) -> None:
    assert not Identity.altered(model)
    known = Identity.beside(model)
    assert known is not None
    assert known.same_twin(known.model_copy(update={"digest": "of another file"}))


def test_every_bit_of_the_file_counts(model: Path) -> None:
    """But those of a line's end, which stay a line's end or a space."""
    file = model / Identity.FILE
    text = file.read_bytes()
    unseen = []
    for place in range(8 * len(text)):
        changed = bytearray(text)
        changed[place // 8] ^= 1 << place % 8
        file.write_bytes(changed)
        if not Identity.altered(model):
            unseen.append((place // 8, bytes(changed)))
    original = json.loads(text)
    assert all(json.loads(changed) == original for _, changed in unseen)
    assert len(unseen) < len(text) / 8


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/data"])
def test_every_file_counts(model: Path, name: str) -> None:
    (model / name).write_bytes(b"others")
    assert Identity.altered(model)
    (model / name).unlink()
    assert Identity.altered(model)


def test_what_a_server_adds_does_not_count(model: Path) -> None:
    (model / "assets.extra").touch()
    assert not Identity.altered(model)


def test_of_an_older_and_a_later_version(model: Path) -> None:
    """The older wrote no digests; the later has more to say, and seals it."""
    file = model / Identity.FILE
    old = json.loads(file.read_text())
    file.write_text(json.dumps({key: old[key] for key in old if key not in ("digest", "files")}))
    assert not Identity.altered(model)

    class Later(Identity):
        more: str = "to say"

    later = Later.model_validate({**old, "digest": ""})
    file.write_text(sealed_json(later))
    assert Identity.beside(model) is None
    assert not Identity.altered(model)
    file.unlink()
    assert not Identity.altered(model)
