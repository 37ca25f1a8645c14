from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.kfp.worker_steps import group_size, take_place
from twintrain.errors import TwintrainError
from twintrain.processes.worker_group import VARIABLE, WorkerGroup
from twintrain.recipe.files import load_recipe


@pytest.mark.parametrize(
    ("overrides", "sizes"),
    [
        ([], (1, 1, 1)),
        (["tuning.workers=4"], (4, 1, 1)),
        (["execution.strategy=multi_worker", "execution.machines=4"], (1, 4, 4)),
        (["loop={execution.strategy: multi_worker}"], (1, 1, 2)),
    ],
)
def test_the_recipe_says_how_many_share_a_nodes_work(
    overrides: list[str], sizes: tuple[int, ...]
) -> None:
    recipe = load_recipe("standard", overrides)
    assert (
        tuple(group_size(recipe, node) for node in ("Tuner-loop", "Trainer-fit", "Trainer-loop"))
        == sizes
    )
    assert group_size(recipe, "Evaluator") == 1


def test_a_process_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    take_place(load_recipe("standard", ["tuning.workers=4"]), "Tuner-fit", 4, 2, tmp_path)
    assert WorkerGroup.of_this_process() == WorkerGroup(2, 4, tmp_path)


def test_a_run_with_another_group_than_was_compiled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TwintrainError,
        match="compiled with 2 steps for Tuner-fit, and this run's recipe asks for 4",
    ):
        take_place(load_recipe("standard", ["tuning.workers=4"]), "Tuner-fit", 2, 0, tmp_path)
