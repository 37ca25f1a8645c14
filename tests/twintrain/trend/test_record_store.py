from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.odd_inputs import NEARLY_RIGHT, refusal
from tests.twintrain.trend.records import record
from twintrain.errors import TwintrainError
from twintrain.problems.task import Regression
from twintrain.trend.record_store import RecordStore
from twintrain.trend.span_record import SpanRecord


@pytest.fixture(params=["disk", "object store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A directory, and an object store in memory behind the same interface as s3:// and gs://."""
    return str(tmp_path / "records") if request.param == "disk" else f"memory://{uuid4()}/records"


def test_records_come_back_by_span(place: str) -> None:
    store = RecordStore(place)
    assert store.all() == []
    for span in (3, 1, 10):
        store.put(record(span))
    assert [found.span for found in RecordStore(place).all()] == [1, 3, 10]
    assert store.all()[0] == record(1)
    assert store.has(3, "standard", "a" * 64)
    assert not store.has(3, "standard", "b" * 64)
    assert not store.has(3, "nightly", "a" * 64)
    assert not store.has(2, "standard", "a" * 64)


def test_the_same_span_and_recipe_is_kept_once(place: str) -> None:
    store = RecordStore(place)
    store.put(record(1, loop=0.90))
    store.put(record(1, loop=0.95))
    store.put(record(1, digest="b"))
    store.put(record(1, recipe="the same, for Ångström/2"))
    found = [
        (one.recipe_hash[0], one.recipe_name[:8], one.overall.loop_score) for one in store.all()
    ]
    assert sorted(found) == [
        ("a", "standard", 0.95),
        ("a", "the same", 0.95),
        ("b", "standard", 0.95),
    ]


def test_writers_at_the_same_time_lose_nothing(place: str) -> None:
    store = RecordStore(place)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.put, [record(span % 20) for span in range(200)]))
    assert [found.span for found in store.all()] == list(range(20))


def test_a_reader_never_sees_half_a_record(tmp_path: Path) -> None:
    store = RecordStore(str(tmp_path))
    store.put(record(1))
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(
            lambda: [store.put(record(1, loop=0.5 + step / 1000)) for step in range(100)]
        )
        while not writing.done():
            assert len(store.all()) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    store = RecordStore(str(tmp_path))
    path = Path(store.put(record(7)))
    path.write_text(path.read_text()[:200])
    with pytest.raises(TwintrainError, match=rf"{path.name}"):
        store.all()
    newer = record(7).model_dump(mode="json") | {"schema_version": 3}
    path.write_text(json.dumps(newer))
    with pytest.raises(TwintrainError, match=r"schema_version.*\n.*newer Twintrain"):
        store.all()


def test_a_record_of_the_first_version_is_read_as_one_of_accuracy(tmp_path: Path) -> None:
    store = RecordStore(str(tmp_path))
    path = Path(store.put(record(7)))
    kept = store.all()
    old = json.loads(path.read_text())
    del old["metric"], old["digest"]
    old |= {"schema_version": 1, "margin_points": old.pop("margin")}
    names = {"fit_accuracy": "fit_score", "loop_accuracy": "loop_score"}
    names |= {"gap_points": "gap", "ci95_points": "ci95"}
    old["slices"] = [
        {**part, **{was: part[now] for was, now in names.items()}} for part in old["slices"]
    ]
    for part in old["slices"]:
        for now in names.values():
            del part[now]
    path.write_text(json.dumps(old))
    assert store.all() == kept


def test_an_accuracy_is_a_share_and_an_error_is_none() -> None:
    made = record(1).model_dump(mode="json")
    made["slices"][0]["fit_score"] = 17.0
    with pytest.raises(ValidationError, match="is a share"):
        SpanRecord.model_validate(made)
    made["metric"] = Regression("minutes").metric.model_dump()
    assert SpanRecord.model_validate(made).overall.fit_score == 17.0


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    store = RecordStore(str(tmp_path))
    (tmp_path / "notes.txt").write_text("mine")
    store.put(record(1))
    assert len(store.all()) == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match="cannot be kept at nowhere://x"):
        RecordStore("nowhere://x")
    (tmp_path / "file").write_text("")
    with pytest.raises(TwintrainError, match="record of span 1 cannot be written"):
        RecordStore(str(tmp_path / "file" / "below")).put(record(1))


def test_a_store_without_credentials_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its library raises errors of its own, which are no OSError."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TwintrainError, match="cannot be listed"):
        RecordStore("s3://nobody-has-this/records").all()


@NEARLY_RIGHT
@given(random=st.randoms())
def test_a_record_that_is_nearly_right_is_taken_or_refused(random: Random) -> None:
    told = refusal("record", random, read=_taken)
    assert told is None or told.problem.strip()


def _taken(path: Path) -> None:
    path.replace(path.parent / f"span-{3:09d}-{'0' * 16}.json")
    RecordStore(str(path.parent)).all()


@pytest.mark.parametrize("figure", ["NaN", "Infinity", "1e308"])
def test_a_figure_that_cannot_be_drawn_is_no_record(tmp_path: Path, figure: str) -> None:
    path = Path(RecordStore(str(tmp_path)).put(record(1)))
    text = path.read_text().replace('"gap": 0.0', f'"gap": {figure}', 1)
    assert figure in text
    path.write_text(text)
    with pytest.raises(TwintrainError, match="gap"):
        RecordStore(str(tmp_path)).all()


def test_a_record_that_was_changed_by_hand_is_refused(tmp_path: Path) -> None:
    store = RecordStore(str(tmp_path))
    path = Path(store.put(record(1)))
    assert store.all() == [record(1)]
    tree = json.loads(path.read_text())
    tree["slices"][0]["gap"] += 0.5
    path.write_text(json.dumps(tree))
    with pytest.raises(TwintrainError, match="was changed after it was written"):
        store.all()
    del tree["digest"]  # as older versions wrote it
    path.write_text(json.dumps(tree))
    assert len(store.all()) == 1
