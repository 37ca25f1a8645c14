"""Results that only runs of long ago have used may go."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.artifacts import ComparisonReport, OverlapRecord
from pipelines.cli.main import app
from pipelines.local.retention import END, PREPARED_END, Leftovers, leftovers
from tests.pipelines.local.two_nodes import Root
from tests.twintrain.trend.records import record
from twintrain.errors import TwintrainError
from twintrain.trend.record_store import RecordStore


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    """Four runs, of which the last takes over what the second made."""
    made = Root(tmp_path, monkeypatch)
    made.made = []
    for figure in (1, 2, 3, 2):
        made.run(figure)
        made.made.append({node: made.file(node).parent for node in ("First", "Second")})
    (tmp_path / "logs").mkdir()
    for number in range(4):
        (tmp_path / "logs" / f"2026110{number}.log").write_text("x" * 100)
    return made


def results(found: Leftovers) -> set[Path]:
    return {place for place in found.places if place.suffix != ".log"}


def test_what_the_newest_runs_made_or_took_over_stays(root: Root) -> None:
    one, two, three, _ = root.made
    assert set(leftovers(root.folder, 4).places) == set()
    logs = {root.folder / "logs" / f"2026110{number}.log" for number in range(2)}
    assert set(leftovers(root.folder, 2).places) == {*one.values(), *logs}
    found = leftovers(root.folder, 1)
    assert {*one.values(), *three.values()} < set(found.places)
    assert not {*two.values()} & set(found.places)
    assert (found.runs, found.size > 300) == (4, True)


def test_what_went_is_made_anew_and_what_stayed_is_taken_over(root: Root) -> None:
    leftovers(root.folder, 1).remove()
    assert leftovers(root.folder, 1).places == []
    assert root.run(2) == ([True, True], [])
    assert root.run(1) == ([False, False], [])


def test_a_report_that_a_record_refers_to_stays(root: Root) -> None:
    kept = root.made[0]["Second"]
    told = record(1).model_copy(update={"report": str(kept)})
    RecordStore(str(root.folder / "records")).put(told)
    assert kept not in leftovers(root.folder, 1).places


def test_the_command_shows_first_and_then_removes(root: Root) -> None:
    before = sorted(root.folder.rglob("*"))
    asked = ["clean", "--root", str(root.folder), "--keep", "1"]
    shown = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert (shown.exit_code, "7 results and logs would go" in shown.output) == (0, True)
    assert set(before) <= set(root.folder.rglob("*"))
    done = CliRunner().invoke(app, asked)
    assert "7 results and logs removed" in done.output
    said = " ".join(done.output.split())
    assert "Kept whole: the newest 1 of 4 runs that went through." in said
    again = CliRunner().invoke(app, asked)
    assert "0 results and logs removed, 0.0 MB" in again.output


def test_runs_that_failed_do_not_push_out_the_last_that_went_through(root: Root) -> None:
    before = results(leftovers(root.folder, 1))
    for figure in (5, 6, 7):
        with pytest.raises(RuntimeError):
            root.run(figure, fails=True)
    after = leftovers(root.folder, 1)
    assert (results(after), after.runs) == (before, 4)


def test_a_run_that_went_through_has_a_report() -> None:
    assert ComparisonReport.TYPE_NAME == END
    assert OverlapRecord.TYPE_NAME == PREPARED_END


def test_where_no_run_makes_a_report_those_that_prepared_data_count(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.local.retention.END", "nothing")
    assert leftovers(root.folder, keep=1).runs == 0
    monkeypatch.setattr("pipelines.local.retention.PREPARED_END", END)
    assert leftovers(root.folder, keep=1).runs > 1
    assert results(leftovers(root.folder, keep=1))


def test_a_root_that_is_none(tmp_path: Path) -> None:
    assert leftovers(tmp_path, 1).runs == 0
    raised = CliRunner().invoke(app, ["clean", "--root", str(tmp_path / "nowhere")]).exception
    assert isinstance(raised, TwintrainError)
    assert "There is no root at" in raised.problem
