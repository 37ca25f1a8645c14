from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.cli.span_choice import span_to_run
from pipelines.config import REPOSITORY, RunConfig
from tests.conftest import write_idx
from tests.twintrain.trend.records import record
from tests.twintrain.trend.test_webhook import Hook
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe
from twintrain.trend.record_store import RecordStore


@pytest.fixture
def records(tmp_path: Path) -> str:
    place = str(tmp_path / "records")
    for span in range(3):
        RecordStore(place).put(record(span))
    return place


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["trend", *arguments], env={"COLUMNS": "200"})
    return done.exit_code, done.output + (
        str(done.exception) if isinstance(done.exception, TwintrainError) else ""
    )


def test_a_quiet_trend_ends_with_0(records: str) -> None:
    status, output = run(records)
    assert status == 0
    assert "mean gap so far" in output


def test_an_alert_has_an_exit_code_a_page_json_and_a_message(
    records: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RecordStore(records).put(record(3, loop=0.8))
    status, output = run(records, "--html", str(tmp_path / "out" / "trend.html"))
    assert status == 4
    assert "span 3 gap: overall: the loop is 15.00 points below fit" in output
    assert "Span 3 needs a look." in (tmp_path / "out" / "trend.html").read_text()
    status, output = run(records, "--json")
    assert status == 4
    assert [len(look["alerts"]) > 0 for look in json.loads(output)[0]["looks"]] == [
        False,
        False,
        False,
        True,
    ]
    with Hook() as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        monkeypatch.setenv("TWINTRAIN_WEBHOOK", hook.address)
        assert run(records, "--alert")[0] == 4
        hook.shutdown()
    assert hook.taken[0]["text"].startswith("Twintrain, recipe standard, span 3")


def test_what_is_missing_is_said(
    records: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "There is no record in" in run(str(tmp_path / "none"))[1]
    assert "of a recipe called 'bare'" in run(records, "--recipe", "bare")[1]
    monkeypatch.delenv("TWINTRAIN_WEBHOOK", raising=False)
    RecordStore(records).put(record(3, loop=0.8))
    assert "needs the webhook's address in TWINTRAIN_WEBHOOK" in run(records, "--alert")[1]


def test_latest_does_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for span in (1, 2):
        (tmp_path / "data" / f"span-{span}").mkdir(parents=True)
        write_idx(tmp_path / "data" / f"span-{span}", {"train": 40, "eval": 20})
    recipe = load_recipe("standard")
    config = RunConfig(
        recipe=recipe,
        data=tmp_path / "data",
        schema_file=REPOSITORY / "data" / "schema.pbtxt",
        root=tmp_path / "root",
    )
    assert span_to_run(config, "latest") == 2
    RecordStore(config.record_place).put(record(2).model_copy(update={"recipe_hash": recipe.hash}))
    with pytest.raises(typer.Exit) as ended:
        span_to_run(config, "latest")
    assert ended.value.exit_code == 0
    assert "Nothing to do: span 2 has been compared with this recipe" in capsys.readouterr().out
    assert span_to_run(config, "2") == 2
    assert span_to_run(config, None) == 2
    with pytest.raises(TwintrainError, match="neither a number nor `latest`"):
        span_to_run(config, "newest")
    with pytest.raises(TwintrainError, match="has no span-N directories"):
        span_to_run(config.model_copy(update={"data": tmp_path / "data" / "span-1"}), "latest")
