from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from pipelines.config import REPOSITORY
from pipelines.kfp.schedule import Schedule, load_schedule
from twintrain.errors import TwintrainError

PLAN: dict[str, Any] = {"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin"}


def test_the_file_that_comes_along_is_valid() -> None:
    assert load_schedule(REPOSITORY / "kubeflow" / "schedule.yaml").kfp_cron == "0 0 3 * * *"


def test_five_fields_become_six() -> None:
    assert Schedule(**PLAN).kfp_cron == "0 0 3 * * *"
    assert Schedule(**PLAN | {"cron": "15 0 3 * * 1-5"}).kfp_cron == "15 0 3 * * 1-5"


def test_the_next_runs_are_in_its_own_zone() -> None:
    zone = ZoneInfo("Europe/Berlin")
    found = Schedule(**PLAN).next_runs(3, datetime.datetime(2026, 10, 23, 12, tzinfo=zone))
    assert [time.strftime("%d %H:%M %z") for time in found] == [
        "24 03:00 +0200",
        "25 03:00 +0100",
        "26 03:00 +0100",
    ]


def test_a_stepped_star_narrows_the_days() -> None:
    """Day-of-month and weekday, where croniter and crontab say or."""
    found = Schedule(**PLAN | {"cron": "0 3 */2 * 1"}).next_runs(
        3, datetime.datetime(2026, 11, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    )
    assert [time.strftime("%a %d %b") for time in found] == [
        "Mon 09 Nov",
        "Mon 23 Nov",
        "Mon 07 Dec",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cron": "0 3 * *"}, "has 4 fields"),
        ({"cron": "0 25 * * *"}, "cron: hour '25': KFP takes 0 to 23"),
        ({"cron": "0 3 * * 7"}, "cron: day of week '7': KFP takes 0 to 6"),
        ({"cron": "0 22-2 * * *"}, "cron: hour '22-2': a range must not end before it begins"),
        ({"cron": "0 3 * * fri-mon"}, "cron: day of week 'fri-mon': a range must not"),
        ({"cron": "0 3 L * *"}, "cron: day of month 'L': 'L' is no number or name that KFP knows"),
        ({"cron": "0 3 * * ,"}, "cron: day of week ',' names no value"),
        ({"cron": "0 3 30 2 *"}, "cron: '0 3 30 2 *' fires on no day of the next five years"),
        ({"timezone": "Mars/Olympus"}, "is no time zone"),
        (
            {"parameters": {"spam": 1}},
            "'spam' is no parameter of the pipeline; it has data, span, overrides",
        ),
        ({"crons": "x"}, "Did you mean 'cron'?"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    path = tmp_path / "schedule.yaml"
    path.write_text(yaml.safe_dump(PLAN | wrong))
    with pytest.raises(TwintrainError) as caught:
        load_schedule(path)
    assert said in str(caught.value)


def test_the_time_zone_must_be_said(tmp_path: Path) -> None:
    path = tmp_path / "schedule.yaml"
    path.write_text("name: nightly\ncron: 0 3 * * *\n")
    with pytest.raises(TwintrainError, match="timezone: Field required"):
        load_schedule(path)
