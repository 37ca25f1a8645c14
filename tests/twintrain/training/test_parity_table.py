"""The table of what shows parity field by field, held to the recipe and to the tests it names."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.twintrain.training.test_parity import CASES
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.recipe.sections import Section
from twintrain.training.session import build_optimizer

Table = dict[str, dict[str, Any]]
Cases = Mapping[str, list[str]]
DEFAULTS = Recipe().fields()

# Fields that do nothing by themselves, and what has to be at work for them to count.
NEEDS: dict[str, Callable[[Recipe], object]] = {
    "optimizer.ema_momentum": lambda recipe: recipe.optimizer.use_ema,
    "optimizer.nesterov": lambda recipe: recipe.optimizer.momentum,
    "schedule.warmup_epochs": lambda recipe: recipe.schedule.kind == "cosine",
    "schedule.final_factor": lambda recipe: recipe.schedule.kind == "cosine",
    "schedule.decay_per_epoch": lambda recipe: recipe.schedule.kind == "exponential",
    "schedule.boundaries": lambda recipe: recipe.schedule.kind == "piecewise",
    "schedule.factors": lambda recipe: recipe.schedule.kind == "piecewise",
    "data.validation_seed": lambda recipe: recipe.data.validation_fraction,
    "augmentation.fill": lambda recipe: recipe.augmentation.active,
    "early_stopping.monitor": lambda recipe: recipe.early_stopping.enabled,
    "early_stopping.patience": lambda recipe: recipe.early_stopping.enabled,
    "early_stopping.min_delta": lambda recipe: recipe.early_stopping.enabled,
    "early_stopping.restore_best": lambda recipe: recipe.early_stopping.enabled,
    "execution.steps_per_execution": lambda recipe: recipe.training.compiled,
}


def read_table() -> Table:
    text = (resources.files("twintrain.recipe") / "parity.yaml").read_text(encoding="utf-8")
    table: Table = yaml.safe_load(text)
    return table


def named_values(section: type[Section], prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every field that is one of several names, with these names."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from named_values(kind, f"{prefix}{name}.")
        elif get_origin(kind) is Literal:
            yield f"{prefix}{name}", get_args(kind)


VALUES = dict(named_values(Recipe))


def faults(table: Table, cases: Cases) -> Iterator[str]:
    """Everything that is wrong with a table."""
    yield from (f"{field}: has no line" for field in DEFAULTS if field not in table)
    for field, line in table.items():
        if field not in DEFAULTS:
            yield f"{field}: is no field of the recipe"
        elif field not in VALUES:
            yield from (f"{field}: {fault}" for fault in faults_of(line, field, None, cases))
        else:
            yield from (f"{field}: {fault}" for fault in faults_of_values(line, field, cases))


def faults_of_values(line: dict[str, Any], field: str, cases: Cases) -> Iterator[str]:
    if set(line) != {"values"}:
        yield "has to say it value by value"
        return
    lines = line["values"]
    yield from (f"{value} has no line" for value in VALUES[field] if value not in lines)
    for value, own in lines.items():
        if value not in VALUES[field]:
            yield f"{value} is no value of it"
        else:
            yield from (f"{value}: {fault}" for fault in faults_of(own, field, value, cases))


def faults_of(line: dict[str, Any], field: str, value: str | None, cases: Cases) -> Iterator[str]:
    if set(line) == {"case"}:
        yield from faults_of_case(line["case"], field, value, cases)
    elif set(line) == {"test", "why"}:
        if not exists(line["test"]):
            yield f"there is no test {line['test']}"
    elif set(line) != {"why"}:
        yield "has to name a case, or a test and why, or only why"
    if "why" in line and len(str(line["why"]).split()) < 3:
        yield "the reason says nothing"


def faults_of_case(name: str, field: str, value: str | None, cases: Cases) -> Iterator[str]:
    if name not in cases:
        yield f"there is no case {name}"
        return
    recipe = load_recipe("standard", cases[name])
    found = recipe.fields()[field]
    if value is not None and found != value:
        yield f"case {name} has {found!r} instead"
    if value is None and found == DEFAULTS[field]:
        yield f"case {name} leaves it at its default"
    if field in NEEDS and not NEEDS[field](recipe):
        yield f"case {name} sets it where it does nothing"


@cache
def functions(file: str) -> frozenset[str]:
    """Names of the functions at the top of a file of this repository; none if it is not there."""
    path = REPOSITORY / file
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(part.name for part in body if isinstance(part, ast.FunctionDef))


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return name.startswith("test_") and name in functions(file)


def test_every_field_and_every_value_has_a_line_that_holds() -> None:
    assert list(faults(read_table(), CASES)) == []


def test_every_case_is_there_for_a_line() -> None:
    lines = [
        own for line in read_table().values() for own in line.get("values", {"": line}).values()
    ]
    assert {line["case"] for line in lines if "case" in line} == set(CASES)


def change(table: Table, path: str, line: Any) -> None:
    """Put a line in the place of another, or take it out with None; FIELD or FIELD=VALUE."""
    field, _, value = path.partition("=")
    place, key = (table[field]["values"], value) if value else (table, field)
    if line is None:
        del place[key]
    else:
        place[key] = line


@pytest.mark.parametrize(
    ("path", "line", "fault"),
    [
        ("optimizer.rho", None, "has no line"),
        ("optimizer.name=nadam", None, "nadam has no line"),
        ("optimizer.decay", {"case": "adam"}, "is no field"),
        ("optimizer.name=lion", {"case": "adam"}, "lion is no value"),
        ("optimizer.name", {"case": "adam"}, "value by value"),
        ("optimizer.rho", {"case": "adamm"}, "no case adamm"),
        ("optimizer.rho", {"case": "adam"}, "leaves it at its default"),
        ("optimizer.name=nadam", {"case": "adam"}, "has 'adam' instead"),
        ("augmentation.fill=nearest", {"case": "textbook"}, "where it does nothing"),
        ("execution.xla", {"test": "tests/conftest.py::test_x", "why": "It is so."}, "no test"),
        ("execution.xla", {"test": "tests/nowhere.py::test_x", "why": "It is so."}, "no test"),
        ("execution.xla", {"test": "tests/conftest.py::mnist_store", "why": "So."}, "no test"),
        ("execution.xla", {}, "has to name a case"),
        ("execution.xla", {"why": "-"}, "says nothing"),
    ],
)
def test_a_line_that_does_not_hold_is_found(path: str, line: Any, fault: str) -> None:
    table = copy.deepcopy(read_table())
    change(table, path, line)
    found = list(faults(table, CASES))
    assert any(said.startswith(path.partition("=")[0]) and fault in said for said in found), found


@pytest.mark.parametrize("case", CASES)
def test_every_optimizer_setting_of_a_case_reaches_the_optimizer(case: str) -> None:
    recipe = load_recipe("standard", CASES[case])
    config = build_optimizer(recipe, steps_per_epoch=11).get_config()
    given = {
        name: value
        for name, value in recipe.optimizer
        if value is not None and name not in ("name", "learning_rate")
    }
    assert given.items() <= config.items()
