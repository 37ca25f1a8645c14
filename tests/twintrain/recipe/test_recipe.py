from __future__ import annotations

import inspect
from pathlib import Path

import keras
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from twintrain.errors import TwintrainError
from twintrain.recipe.files import builtin_recipes, load_recipe, to_yaml
from twintrain.recipe.recipe import Recipe
from twintrain.recipe.sections import OPTIMIZER_FIELDS
from twintrain.training.session import build_optimizer


@pytest.mark.parametrize("name", builtin_recipes())
def test_built_in_recipes_load_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    file = tmp_path / "again.yaml"
    file.write_text(to_yaml(recipe))
    assert load_recipe(file) == recipe
    assert load_recipe(file).hash == recipe.hash


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epocs=3", "Did you mean 'epochs'?"),
        ("trainig.epochs=3", "Did you mean 'training'?"),
        ("training.epochs=0", "greater than or equal to 1"),
        ("training.batch_size=many", "valid integer"),
        ("optimizer.momentum=0.9", "adam takes no 'momentum'"),
        ("optimizer.name=adamm", "'adam'"),
        ("optimizer=3", "optimizer"),
        ("training.epochs.more=3", "training.epochs: Input should be a valid integer"),
        ("early_stopping.enabled=true", "data.validation_fraction"),
        ("execution.xla=true", "exclude each other"),
        (
            "execution={strategy: multi_worker, machines: 5}",
            "cannot be shared out evenly over 5 machines",
        ),
        ("seeds=[1, 1]", "distinct"),
        ("seeds=[]", "at least 1"),
        ("loop.training.shufle=false", "Did you mean 'training.shuffle'?"),
        ("loop.seeds=[1]", "cannot deviate"),
        ("comparison.label_names=[cat, dog, cat]", "two labels have the same name"),
        ("comparison.margin=0", "greater than 0"),
        ("problem.module=no-module", "problem.module"),
        ("tuning.trials=-1", "greater than or equal to 0"),
        ("tuning={trials: 0, apply: true}", "0 trials find none"),
        ("training.training_flag=false", "loop.training.training_flag=false"),
        ("training.epochs", "key=value"),
        ("optimizer.learning_rate=.nan", "finite"),
        ("schedule.kind=piecewise", "boundaries"),
        ("training.epochs=[", "not YAML"),
    ],
)
def test_a_wrong_override_is_explained(override: str, expected: str) -> None:
    with pytest.raises(TwintrainError) as caught:
        load_recipe(
            "standard",
            [override, *(["loop.training.compiled=false"] if "loop" not in override else [])],
        )
    assert expected in str(caught.value)


def test_a_recipe_may_search_nothing() -> None:
    assert load_recipe("standard", ["tuning.trials=0"]).tuning.trials == 0


def test_a_loop_that_is_tuned_does_not_deviate_in_what_is_searched() -> None:
    with pytest.raises(TwintrainError, match="each twin trains with the best value found for it"):
        load_recipe("standard", ["tuning.apply=true", "loop.training.batch_size=64"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- 1\n- 2\n", "holds list"),
        ("a: [1\n", "not valid YAML"),
        ("extends: nowhere\n", "no file of that name"),
        ("name: ''\n", "name"),
    ],
)
def test_a_wrong_recipe_file_is_explained(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(TwintrainError) as caught:
        load_recipe(file)
    assert expected in str(caught.value)


def test_a_recipe_that_extends_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(TwintrainError, match="extends itself"):
        load_recipe(tmp_path / "a.yaml")


def test_a_binary_or_unknown_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TwintrainError, match="is not text in UTF-8"):
        load_recipe(tmp_path / "binary.yaml")
    with pytest.raises(TwintrainError, match="Did you mean 'standard'"):
        load_recipe("standrd")


def test_only_the_loop_deviates_in_the_bare_recipe() -> None:
    recipe = load_recipe("bare")
    assert recipe.for_twin("fit").training.shuffle
    assert not recipe.for_twin("loop").training.shuffle
    assert not recipe.twins_agree
    assert load_recipe("standard").twins_agree
    assert recipe.for_twin("fit") == load_recipe("standard").model_copy(update={"name": "bare"})
    with pytest.raises(ValueError, match="twin must be"):
        recipe.for_twin("both")


def test_the_hash_sees_every_decision_and_nothing_else() -> None:
    standard = load_recipe("standard")
    assert load_recipe("standard", ["name=other"]).hash == standard.hash
    for override in (
        "training.epochs=4",
        "seeds=[0]",
        "loop.training.shuffle=false",
        "optimizer.epsilon=1e-8",
    ):
        assert load_recipe("standard", [override]).hash != standard.hash


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("standard", "638cfc7bd548a8fc049259cc2f35937ff78d0e81732312b022c5dc7ad56982ce"),
        ("bare", "ded0edabbdf28ed86207988bd3db6f282d09b856b01926e19fb0fcd676d5cf17"),
        ("textbook", "6f5f799677fa0f13af91a63cdaee76b49c1bca5d90b4abd7f53fe2d971b2e8b9"),
        ("augmented", "c2a18adda45dbc6239c01f1760ed12658931f02e9fd7406dcd40e4dd56af8b67"),
    ],
)
def test_the_hash_of_a_built_in_recipe_stays(name: str, expected: str) -> None:
    # Stored results are found by it: a field that is renamed, or a default that moves, changes it.
    assert load_recipe(name).hash == expected


@pytest.mark.parametrize("place", ["training.class_weight", "loop.training.class_weight"])
def test_xla_is_not_asked_to_weigh_classes(place: str) -> None:
    fast = ["execution.xla=true", "execution.deterministic=false"]
    with pytest.raises(TwintrainError, match="XLA rounds a weighted loss otherwise"):
        load_recipe("standard", [*fast, f"{place}=balanced"])


@pytest.mark.parametrize("name", OPTIMIZER_FIELDS)
def test_optimizer_fields_are_those_keras_takes(name: str) -> None:
    recipe = Recipe.model_validate({"optimizer": {"name": name}})
    optimizer = build_optimizer(recipe, steps_per_epoch=10)
    taken = set(inspect.signature(type(optimizer).__init__).parameters)
    special = frozenset().union(*OPTIMIZER_FIELDS.values())
    assert {field for field in special if field in taken} == set(OPTIMIZER_FIELDS[name])


def test_schedules_reach_keras() -> None:
    cosine = load_recipe(
        "standard", ["schedule.kind=cosine", "schedule.warmup_epochs=1", "training.epochs=3"]
    )
    rate = build_optimizer(cosine, 10)._learning_rate
    assert float(rate(0)) == 0.0
    assert float(rate(10)) == pytest.approx(0.001)
    assert float(rate(30)) == pytest.approx(0.0, abs=1e-9)
    exponential = load_recipe(
        "standard", ["schedule.kind=exponential", "schedule.decay_per_epoch=0.5"]
    )
    assert float(build_optimizer(exponential, 10)._learning_rate(20)) == pytest.approx(0.00025)
    assert keras.config.floatx() == "float32"


@given(
    st.builds(
        dict,
        epochs=st.integers(1, 10_000),
        batch_size=st.integers(1, 65_536),
        shuffle=st.booleans(),
        compiled=st.booleans(),
    ),
    st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5, unique=True),
)
def test_any_valid_recipe_survives_yaml(training: dict[str, object], seeds: list[int]) -> None:
    recipe = Recipe.model_validate({"training": training, "seeds": seeds})
    assert Recipe.model_validate(yaml.safe_load(to_yaml(recipe))) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8), st.integers() | st.text(max_size=8), min_size=1, max_size=3
    )
)
def test_unknown_keys_never_pass(tree: dict[str, object]) -> None:
    if set(tree) <= set(Recipe.model_fields):
        return
    with pytest.raises(ValueError, match="validation error"):
        Recipe.model_validate(tree)
