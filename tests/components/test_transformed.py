from __future__ import annotations

from components.transformed import training_config, tuning_config, with_best
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe


def deciding(override: str, twin: str = "loop") -> tuple[object, object]:
    recipe = load_recipe("standard", [override] if override else [])
    return training_config(recipe, twin, "/state"), tuning_config(recipe, twin, "/state")


def test_a_cached_training_is_given_up_for_what_decides_it_and_nothing_else() -> None:
    plain_training, plain_tuning = deciding("")
    for override in ("name=other", "comparison.margin=0.5"):
        assert deciding(override) == (plain_training, plain_tuning)
    training, tuning = deciding("tuning.trials=5")
    assert training == plain_training
    assert tuning != plain_tuning
    training, tuning = deciding("training.epochs=5")
    assert training != plain_training
    assert tuning == plain_tuning
    assert deciding("seeds=[5]")[1] == plain_tuning
    # What only the loop does differently leaves fit's cached results alone.
    assert deciding("loop.training.shuffle=false", "fit") == deciding("", "fit")
    assert deciding("loop.training.shuffle=false", "loop") != deciding("", "loop")


def test_a_search_of_fewer_epochs_than_are_frozen_is_a_recipe_too() -> None:
    frozen = ["training.epochs=6", "fine_tuning.frozen_epochs=4", "fine_tuning.layers=[dense]"]
    recipe = load_recipe("standard", frozen)
    for twin in ("fit", "loop"):
        text = tuning_config(recipe, twin, "/state")["recipe"]
        assert Recipe.model_validate_json(text).fine_tuning == recipe.fine_tuning


def test_each_twin_gets_its_own_recipe() -> None:
    config = training_config(load_recipe("bare"), "loop", "/state")
    recipe = Recipe.model_validate_json(config["recipe"])
    assert not recipe.training.training_flag
    assert not recipe.training.shuffle


def test_the_tuners_best_is_used_only_when_asked_for() -> None:
    best = {
        "space": [
            {
                "class_name": "Float",
                "config": {"name": "optimizer.learning_rate", "default": 0.1, "conditions": []},
            },
            {
                "class_name": "Fixed",
                "config": {"name": "training.batch_size", "value": 64, "conditions": []},
            },
        ],
        "values": {"optimizer.learning_rate": 0.1, "training.batch_size": 64},
    }
    best["space"][0]["config"] |= {
        "min_value": 0.01,
        "max_value": 1.0,
        "step": None,
        "sampling": "log",
    }  # type: ignore[index]
    plain, applied = load_recipe("standard"), load_recipe("standard", ["tuning.apply=true"])
    assert with_best(plain, best) == plain
    assert with_best(applied, best).optimizer.learning_rate == 0.1
    assert with_best(applied, best).training.batch_size == 64
