"""Processes that work together, find each other, and end together."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from twintrain.errors import TwintrainError
from twintrain.processes import progress
from twintrain.processes.worker_group import WorkerGroup, run_as_group, share_of_gpus

HERE = "127.0.0.1"


def meet_and_tell(folder: Path) -> None:
    group = WorkerGroup.of_this_process()
    assert group is not None
    found = group.meet(minutes=1)
    told = {"found": found, "speaks": progress.VARIABLE in os.environ}
    (folder / f"{group.member}.json").write_text(json.dumps(told))


def fail_in_one() -> None:
    group = WorkerGroup.of_this_process()
    assert group is not None
    if group.member == 1:
        raise TwintrainError("Member 1 cannot.", "Nothing to do.")
    time.sleep(600)


def die_in_one() -> None:
    group = WorkerGroup.of_this_process()
    assert group is not None
    if group.member == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def test_members_find_each_other_and_only_the_first_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress"))
    run_as_group(meet_and_tell, (tmp_path,), 3)
    told = [json.loads((tmp_path / f"{member}.json").read_text()) for member in range(3)]
    assert told[0]["found"] == told[1]["found"] == told[2]["found"]
    assert len({address.rsplit(":", 1)[1] for address in told[0]["found"]}) == 3
    assert [one["speaks"] for one in told] == [True, False, False]
    assert WorkerGroup.of_this_process() is None


def test_an_error_in_one_ends_all_and_is_passed_on() -> None:
    started = time.monotonic()
    with pytest.raises(TwintrainError, match="Member 1 cannot"):
        run_as_group(fail_in_one, (), 2)
    assert time.monotonic() - started < 60


def test_one_that_is_killed_ends_all() -> None:
    with pytest.raises(TwintrainError, match="was killed by SIGKILL"):
        run_as_group(die_in_one, (), 2)


def test_who_does_not_come_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        TwintrainError, match=r"Of 3 workers, number 1, 2 did not come within 0.01 minutes"
    ):
        WorkerGroup(0, 3, tmp_path, HERE).meet(minutes=0.01)


def test_a_file_left_by_a_pod_that_is_gone_misleads_nobody(tmp_path: Path) -> None:
    gone = WorkerGroup(1, 2, tmp_path, HERE)
    port = gone.free_port()
    left = {"address": f"{HERE}:1", "presence": f"{HERE}:{port}", "token": "gone"}
    (tmp_path / "member-1.json").write_text(json.dumps(left))
    with pytest.raises(TwintrainError, match="number 1 did not come"):
        WorkerGroup(0, 2, tmp_path, HERE).meet(minutes=0.01)
    found: list[list[str]] = []
    members = [WorkerGroup(member, 2, tmp_path, HERE) for member in range(2)]
    threads = [
        threading.Thread(target=lambda group=group: found.append(group.meet(minutes=1)))
        for group in members
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert left["address"] not in found[0]


def test_whoever_answers_in_a_members_place_is_not_taken_for_it(tmp_path: Path) -> None:
    """A port is soon given to another process."""
    other = WorkerGroup(0, 2, tmp_path / "other", HERE)
    other.announce(other.free_port())
    entry = json.loads((tmp_path / "other" / "member-0.json").read_text())
    (tmp_path / "member-1.json").write_text(json.dumps(entry | {"token": "another"}))
    assert WorkerGroup(0, 2, tmp_path, HERE).address_of(1) is None
    (tmp_path / "member-1.json").write_text(json.dumps(entry))
    assert WorkerGroup(0, 2, tmp_path, HERE).address_of(1) == entry["address"]


@pytest.mark.parametrize(
    ("visible", "size", "shares"),
    [
        ("0,1,2,3", 2, ["0,2", "1,3"]),
        ("4,7", 2, ["4", "7"]),
        ("0", 2, ["0", "0"]),
        ("0,1", 3, ["0", "1", "0"]),
        ("-1", 2, [None, None]),
        ("GPU-a,GPU-b", 2, ["GPU-a", "GPU-b"]),
    ],
)
def test_members_share_the_gpus_of_a_machine(
    monkeypatch: pytest.MonkeyPatch, visible: str, size: int, shares: list[str | None]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [
        share_of_gpus(member, size).get("CUDA_VISIBLE_DEVICES") for member in range(size)
    ] == shares


def test_a_member_started_anew_is_found_anew(tmp_path: Path) -> None:
    """Its first process still answers, but nobody may go on with that one's address."""
    before, after, other = (WorkerGroup(member, 2, tmp_path, HERE) for member in (0, 0, 1))
    stale, _ = before.announce(before.free_port())
    found: dict[str, list[str]] = {}
    waiting = threading.Thread(target=lambda: found.update(other=other.meet(minutes=1)))
    waiting.start()
    time.sleep(2)
    assert not found  # it has found the first process, which has not found it
    found["after"] = after.meet(minutes=1)
    waiting.join()
    assert found["other"] == found["after"]
    assert stale not in found["other"]
