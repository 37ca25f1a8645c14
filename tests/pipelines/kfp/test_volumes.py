from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.config import RunConfig
from pipelines.kfp.volumes import require_writable
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe

SOMEBODY = 10001  # the image's user


def config(folder: Path) -> RunConfig:
    return RunConfig(
        recipe=load_recipe("standard"),
        data=folder / "data",
        schema_file=folder / "schema.pbtxt",
        root=folder / "work",
        records=str(folder / "records"),
    )


@pytest.fixture
def volume() -> Iterator[Path]:
    """A folder that the tests' user owns and nobody else may write to. pytest's own are hidden from
    other users."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def as_somebody(volume: Path) -> str:
    """What the look says to the image's user, or to this one without the right to write."""
    asked = config(volume)  # that user may not read what Python imports for it
    if os.geteuid() == 0:
        os.seteuid(SOMEBODY)
    else:
        volume.chmod(0o555)
    try:
        require_writable(asked)
    except TwintrainError as error:
        return str(error)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        volume.chmod(0o755)
    return "it can be written"


def test_a_volume_of_another_user_is_said_before_anything_is_trained(volume: Path) -> None:
    said = as_somebody(volume)
    assert f"{volume / 'work'} (`work` in cluster.yaml) cannot be written by user" in said
    assert f"Permission denied; {volume} belongs to user {os.getuid()}." in said
    assert "kubeflow/manifests/volume-owner.yaml" in said


def test_records_are_looked_at_too(volume: Path) -> None:
    (volume / "work").mkdir()
    (volume / "work").chmod(0o777)
    assert "(`records` in cluster.yaml) cannot be written" in as_somebody(volume)


def test_what_can_be_written_is_left_as_it_was(volume: Path) -> None:
    require_writable(config(volume))
    assert [list(folder.iterdir()) for folder in sorted(volume.iterdir())] == [[], []]
    require_writable(config(volume).model_copy(update={"records": "s3://bucket/records"}))
