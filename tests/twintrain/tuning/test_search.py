from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import mnist_store
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore, build_store
from twintrain.data.tfrecord_source import TransformedData, hold_out
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import TwinName
from twintrain.tuning.search import TuningJob, TuningResult, search, with_values


class Digits(TransformedData):
    """MNIST digits without the detour over record files."""

    def store(self, split: str, memory_limit_mb: int) -> ExampleStore:
        return mnist_store(split, 300)


DATA = Digits({}, labelled_images((28, 28, 1), 10))
OVERRIDES = [
    "tuning.trials=3",
    "tuning.epochs=2",
    "tuning.examples=200",
    "tuning.batch_size=[16, 32]",
    "tuning.learning_rate=[0.0005, 0.005]",
    "tuning.validation_fraction=0.2",
    "tuning.seed=5",
]


def run(twin: TwinName, folder: Path, *overrides: str) -> TuningResult:
    return search(TuningJob(twin, load_recipe("standard", [*OVERRIDES, *overrides]), DATA, folder))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TuningResult]:
    folder = tmp_path_factory.mktemp("tuning")
    return {"fit": run("fit", folder), "loop": run("loop", folder)}


def test_both_twins_make_the_same_trials_and_choose_the_same(
    results: dict[str, TuningResult],
) -> None:
    def without_clock(result: TuningResult) -> list[dict]:
        return [
            {key: value for key, value in trial.items() if key != "seconds"}
            for trial in result.trials
        ]

    assert without_clock(results["fit"]) == without_clock(results["loop"])
    assert results["fit"].best == results["loop"].best


def test_every_trial_is_kept_with_scores_and_seconds(results: dict[str, TuningResult]) -> None:
    for result in results.values():
        assert len(result.trials) == 3
        assert len({trial["learning_rate"] for trial in result.trials}) == 3
        for trial in result.trials:
            assert 0.0005 <= trial["learning_rate"] <= 0.005
            assert trial["batch_size"] in (16, 32)
            assert trial["seconds"] > 0
            assert {"val_loss", "val_accuracy", "best_epoch"} <= set(trial)
        best = min(result.trials, key=lambda trial: trial["val_loss"])
        assert result.best["values"]["optimizer.learning_rate"] == best["learning_rate"]


def test_a_finished_search_is_not_repeated(tmp_path: Path) -> None:
    first = run("loop", tmp_path, "tuning.trials=1")
    again = run("loop", tmp_path, "tuning.trials=1")
    assert again.trials == first.trials  # seconds too: nothing was trained


def test_values_of_a_trial_take_the_recipes_place() -> None:
    recipe = with_values(
        load_recipe("standard"), {"optimizer.learning_rate": 0.01, "training.batch_size": 8}
    )
    assert (recipe.optimizer.learning_rate, recipe.training.batch_size) == (0.01, 8)


def test_too_few_examples_to_hold_any_out_are_refused() -> None:
    train, held = hold_out(mnist_store("train", 60), 0.01, seed=0)
    assert len(held) >= 9  # one of each class that has two
    assert len(train) + len(held) == 60
    with pytest.raises(TwintrainError, match="too few"):
        hold_out(mnist_store("train", 1), 0.5, seed=0)


def test_an_error_of_a_trial_is_told_as_it_is(tmp_path: Path) -> None:
    recipe = load_recipe(
        "standard", [*OVERRIDES, "model.name=tests.twintrain.tuning.test_search:broken_model"]
    )
    with pytest.raises(TwintrainError, match="this model is broken"):
        search(TuningJob("loop", recipe, DATA, tmp_path))


CALLS: list[int] = []


def broken_model(recipe: object, shape: tuple[int, ...], classes: int) -> keras.Model:
    """Works when keras-tuner looks at the space, and fails in the trial."""
    CALLS.append(1)
    if len(CALLS) > 2:
        raise TwintrainError("this model is broken", "mend it")
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")]
    )


def test_holding_out_is_stratified_and_complete() -> None:
    store = mnist_store("train", 300)
    train, held = hold_out(store, 0.2, seed=0)
    assert sorted([*train.ids, *held.ids]) == sorted(store.ids)
    assert abs(len(held) - 60) <= 5
    assert set(held.targets) == set(range(10))


class Colours(TransformedData):
    """The digits in three colours, 24 by 20 pixels."""

    def store(self, split: str, memory_limit_mb: int) -> ExampleStore:
        grey = mnist_store(split, 120)
        pixels = grey.values(np.arange(120))[:, 2:26, 4:24] * np.float32([1, 0.5, 0.25])
        return build_store([(pixels, grey.targets, grey.ids)], 1 << 30)


def test_images_in_colour_are_searched_on(tmp_path: Path) -> None:
    recipe = load_recipe(
        "standard",
        ["tuning.trials=1", "tuning.examples=100", "augmentation.rotation=10", "model.name=mlp"],
    )
    data = Colours({}, labelled_images((24, 20, 3), 10))
    (trial,) = search(TuningJob("loop", recipe, data, tmp_path)).trials
    assert trial["status"] == "COMPLETED"
    assert np.isfinite(trial["val_loss"])


@pytest.mark.in_turn(4)
def test_trials_that_diverge_come_last_and_end_nothing(tmp_path: Path) -> None:
    wild = [
        "optimizer={name: sgd, momentum: null}",
        "regularization.l2=1.0e+9",
        "tuning.learning_rate=[10, 100]",
    ]
    found = run("fit", tmp_path / "a", *wild)
    assert [trial["val_loss"] for trial in found.trials] == [float("inf")] * 3
    with pytest.raises(TwintrainError, match="Every trial of the fit twin diverged"):
        run("fit", tmp_path / "b", *wild, "tuning.apply=true")
