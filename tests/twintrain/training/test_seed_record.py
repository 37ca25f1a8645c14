from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.twintrain.training.records import HISTORY, write_record
from twintrain.errors import TwintrainError
from twintrain.training.seed_record import FIGURES, SeedRecord, records_below, weights_digest

KEPT = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    prints = np.array([[1, -(2**62)], [3, 4]], np.int64)
    outputs = np.linspace(0, 1, 30, dtype=np.float32).reshape(3, 10)
    targets = np.array([4, 0, 9])
    written = write_record(
        tmp_path, seed=5, targets=targets, outputs=outputs, fingerprints=prints, weights=KEPT
    )
    found = SeedRecord.read(tmp_path)
    assert found == written
    assert (found.figures.twin, found.figures.seed, found.figures.epochs) == ("loop", 5, 2)
    np.testing.assert_array_equal(found.fingerprints, prints)
    assert weights_digest(found.weights) == weights_digest(KEPT)
    np.testing.assert_array_equal(found.predictions.targets, targets)
    np.testing.assert_array_equal(found.predictions.outputs, outputs)
    assert found.predictions.ids.tolist() == [f"eval-{i:08d}".encode() for i in range(3)]


def test_more_than_ten_weights_keep_their_order(tmp_path: Path) -> None:
    many = [np.array([number], np.float32) for number in range(12)]
    write_record(tmp_path, weights=many)
    assert [int(weight[0]) for weight in SeedRecord.read(tmp_path).weights] == list(range(12))


def test_a_training_that_diverged_is_read_as_it_was(tmp_path: Path) -> None:
    wild = [0.5, math.nan, math.inf, -math.inf]
    write_record(tmp_path, history=HISTORY | {"loss": wild})
    found = SeedRecord.read(tmp_path).figures.history
    np.testing.assert_array_equal(found["loss"], wild)
    assert found["accuracy"] == HISTORY["accuracy"]


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(TwintrainError, match=r"no record of a training in .*seed-3") as raised:
        SeedRecord.read(SeedRecord.place(tmp_path, 3))
    assert "Train that seed again" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": "many"}, "epochs"),
        ({"twin": "third"}, "twin"),
        ({"history": {"loss": ["low"]}}, "history"),
        ({"histroy": {}}, "histroy"),
    ],
)
def test_damaged_figures_are_named(tmp_path: Path, change: dict, said: str) -> None:
    write_record(tmp_path)
    path = tmp_path / FIGURES
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(TwintrainError, match=said) as raised:
        SeedRecord.read(tmp_path)
    assert str(path) in str(raised.value)
    assert "Train that seed again" in str(raised.value)


def test_figures_cut_short_are_named(tmp_path: Path) -> None:
    write_record(tmp_path)
    path = tmp_path / FIGURES
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TwintrainError, match="JSON"):
        SeedRecord.read(tmp_path)


def test_predictions_that_are_missing_are_named(tmp_path: Path) -> None:
    record = write_record(tmp_path, twin="fit", seed=4)
    (tmp_path / "predictions.npz").unlink()
    with pytest.raises(TwintrainError, match="The fit twin left no predictions for seed 4"):
        _ = record.predictions


def test_records_below_a_folder_come_by_seed(tmp_path: Path) -> None:
    for seed in (10, 2, 9):
        write_record(SeedRecord.place(tmp_path, seed), seed=seed)
    (tmp_path / "seed-11").mkdir()  # under way: the figures are written last
    assert [record.figures.seed for record in records_below(tmp_path)] == [2, 9, 10]


def test_the_digest_of_weights_sees_every_difference() -> None:
    same = weights_digest([weight.copy() for weight in KEPT])
    assert same == weights_digest(KEPT)
    assert len(same) == 64
    others = [
        KEPT[::-1],
        KEPT[:1],
        [KEPT[0].reshape(3, 2), KEPT[1]],
        [KEPT[0], KEPT[1].astype(np.uint64)],
        [np.nextafter(KEPT[0], np.float32(9)), KEPT[1]],
        [-0.0 * KEPT[0], KEPT[1]],
        [0.0 * KEPT[0], KEPT[1]],
    ]
    assert len({same, *map(weights_digest, others)}) == len(others) + 1
