from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.twintrain.tuning.test_search import DATA
from twintrain.problems.find import find_problem
from twintrain.processes.worker_group import WorkerGroup, run_as_group
from twintrain.recipe.files import load_recipe
from twintrain.training.seeds import SeedsJob, Splits, forget_state, train_seeds


def train_share(job: SeedsJob) -> None:
    group = WorkerGroup.of_this_process()
    assert group is not None
    train(replace(job, share=job.recipe.seeds[group.member :: group.size]))


def train(job: SeedsJob) -> None:
    train_seeds(job, find_problem(job.recipe, DATA.spec), Splits.read(job.recipe, DATA))


@pytest.mark.in_turn(3)
def test_seeds_trained_side_by_side_end_as_one_after_the_other(tmp_path: Path) -> None:
    recipe = load_recipe("standard", ["model.name=mlp", "seeds=[3,1,2]", "training.epochs=2"])
    one, both = (SeedsJob("loop", recipe, tmp_path / name) for name in ("one", "both"))
    train(one)
    run_as_group(train_share, (both,), 2)
    for seed in recipe.seeds:
        for name in ("weights.npz", "predictions.npz"):
            ours, theirs = (np.load(job.folder / f"seed-{seed}" / name) for job in (one, both))
            assert ours.files == theirs.files
            assert all((ours[key] == theirs[key]).all() for key in ours.files)
        ours, theirs = (
            np.load(job.folder / f"seed-{seed}" / "fingerprints.npy") for job in (one, both)
        )
        assert (ours == theirs).all()


@pytest.mark.in_turn(4)
def test_the_state_of_other_trainings_is_left_alone(tmp_path: Path) -> None:
    jobs = [
        SeedsJob(
            "loop",
            load_recipe(
                "standard", ["model.name=mlp", f"training.epochs={epochs}", "seeds=[0, 1]"]
            ),
            tmp_path / name,
        )
        for name, epochs in (("one", 1), ("two", 2))
    ]
    one, two = (replace(job, state=tmp_path / "state") for job in jobs)
    (tmp_path / "state").mkdir()
    train(one)
    train(two)
    # One file per seed, and for those of two epochs the one before it.
    assert len(list((tmp_path / "state").iterdir())) == 2 + 4
    forget_state(one)
    assert len(list((tmp_path / "state").iterdir())) == 4
    forget_state(two)
    assert list((tmp_path / "state").iterdir()) == []
