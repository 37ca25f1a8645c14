from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tfx.types.standard_artifacts import ModelRun

from components.artifacts import OverlapRecord, TwinAgreement, read_json, write_json
from components.leak_check import TO_TRAIN_ON
from components.twin_check import TwinCheck
from tests.twintrain.training.records import write_record
from twintrain.errors import TwintrainError
from twintrain.training.seed_record import SeedRecord

BATCHES = np.arange(12).reshape(2, 6)


def records(folder: Path, fingerprints: dict[int, np.ndarray], weight: float = 1.0) -> ModelRun:
    for seed, prints in fingerprints.items():
        write_record(
            SeedRecord.place(folder, seed),
            seed=seed,
            fingerprints=prints,
            weights=[np.full(3, weight)],
            history={"loss": [weight]},
        )
    run = ModelRun()
    run.uri = str(folder)
    return run


def check(
    fit: ModelRun, loop: ModelRun, folder: Path, must_agree: int, to_train_on: str = "00ff"
) -> list[dict]:
    agreement = TwinAgreement()
    agreement.uri = str(folder)
    overlap = OverlapRecord()
    overlap.uri = str(folder / "overlap")
    write_json(overlap, {TO_TRAIN_ON: to_train_on})
    TwinCheck.EXECUTOR_SPEC.executor_class._FUNCTION(
        fit_run=fit,
        loop_run=loop,
        overlap=overlap,
        agreement=agreement,
        must_agree=must_agree,
        code="",
    )
    found: list[dict] = read_json(agreement)
    return found


def test_equal_twins_agree(tmp_path: Path) -> None:
    prints = {0: BATCHES, 10: BATCHES + 1}
    found = check(
        records(tmp_path / "fit", prints), records(tmp_path / "loop", prints), tmp_path / "out", 1
    )
    assert [seed["seed"] for seed in found] == [0, 10]
    assert all(
        seed["same_batches"] and seed["same_history"] and not seed["max_abs_difference"]
        for seed in found
    )


def test_different_batches_under_one_recipe_name_the_first(tmp_path: Path) -> None:
    other = BATCHES.copy()
    other[1, 4] = -1
    fit = records(tmp_path / "fit", {0: BATCHES, 1: BATCHES})
    loop = records(tmp_path / "loop", {0: BATCHES, 1: other})
    with pytest.raises(TwintrainError, match=r"seed 1 they first differ in epoch 2, batch 5"):
        check(fit, loop, tmp_path / "out", 1)


def test_a_deviation_on_purpose_is_recorded(tmp_path: Path) -> None:
    fit = records(tmp_path / "fit", {0: BATCHES})
    loop = records(tmp_path / "loop", {0: BATCHES[:, ::-1]}, weight=1.5)
    (found,) = check(fit, loop, tmp_path / "out", 0)
    assert found["first_different_batch"] == [0, 0]
    assert found["max_abs_difference"] == 0.5
    assert not found["same_history"]


def test_models_of_different_shape_are_refused(tmp_path: Path) -> None:
    fit, loop = records(tmp_path / "fit", {0: BATCHES}), records(tmp_path / "loop", {0: BATCHES})
    write_record(tmp_path / "loop" / "seed-0", fingerprints=BATCHES, weights=[np.ones(4)])
    with pytest.raises(TwintrainError, match="differ in shape"):
        check(fit, loop, tmp_path / "out", 1)


def test_trainings_on_other_examples_than_transform_left(tmp_path: Path) -> None:
    prints = {0: BATCHES}
    fit, loop = (records(tmp_path / name, prints) for name in ("fit", "loop"))
    with pytest.raises(TwintrainError, match="seed 0 was not trained on the examples"):
        check(fit, loop, tmp_path / "out", 1, to_train_on="beef")
