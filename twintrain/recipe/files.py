"""Recipes as files: finding, reading and overriding them, and saying what is wrong with one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from twintrain.errors import TwintrainError, did_you_mean, explained
from twintrain.recipe.recipe import Recipe, put


def builtin_recipes() -> dict[str, Path]:
    """Name and path of every recipe that comes with Twintrain."""
    folder = Path(str(resources.files("twintrain.recipe") / "builtin"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_recipe(source: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe and check it.

    Args:
        source: the name of a built-in recipe, or the path of a YAML file. A file may build on
            another with `extends: NAME`.
        overrides: 'dotted.key=value' strings applied last; the value is read as YAML.

    Raises:
        TwintrainError: the recipe is missing, is not YAML, has an unknown key, or a value of wrong
            type or range.
    """
    tree = _read(source, seen=())
    _override(tree, overrides)
    return _checked(tree, str(source))


def with_overrides(recipe: Recipe, overrides: list[str] | tuple[str, ...]) -> Recipe:
    """A recipe with some fields changed, checked again; `overrides` as for `load_recipe`.

    Raises:
        TwintrainError: as `load_recipe`.
    """
    tree = recipe.model_dump(mode="json")
    _override(tree, overrides)
    return _checked(tree, recipe.name)


def _override(tree: dict[str, Any], overrides: list[str] | tuple[str, ...]) -> None:
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise TwintrainError(
                f"--set {override!r} is not of the form key=value.", "Example: training.epochs=10"
            )
        try:
            put(tree, key.strip(), _parse(text))
        except yaml.YAMLError as error:
            raise TwintrainError(
                f"--set {override!r}: the value is not YAML ({error}).", "Quote it."
            ) from error
        except ValueError as error:
            raise TwintrainError(
                f"--set {override!r}: {error}.", "`twintrain recipe` prints every key."
            ) from error


def _checked(tree: dict[str, Any], source: str) -> Recipe:
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        problem = explained(error, Recipe, f"The recipe ({source})")
        raise TwintrainError(
            problem, "`twintrain recipe` prints every key with its value."
        ) from None
    if not recipe.training.training_flag:
        raise TwintrainError(
            "training.training_flag cannot be false for both twins: fit always calls the model "
            "with training=True.",
            "Let the loop alone deviate: --set loop.training.training_flag=false",
        )
    return recipe


def to_yaml(recipe: Recipe) -> str:
    """The whole recipe as YAML, every field included."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _parse(text: str) -> Any:
    value = yaml.safe_load(text)
    # YAML 1.1 reads 1e-3 as text; everybody means the number.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _read(source: str | Path, seen: tuple[str, ...]) -> dict[str, Any]:
    if str(source) in seen:
        raise TwintrainError(
            f"Recipe {seen[0]!r} extends itself: {' -> '.join((*seen, str(source)))}.",
            "Break the circle.",
        )
    known = builtin_recipes()
    path = known.get(str(source), Path(source))
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise TwintrainError(
            f"No recipe called {str(source)!r}, and no file of that name.",
            did_you_mean(str(source), known),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TwintrainError(
            f"Recipe file {path} cannot be read: {error}.", "Give a readable YAML file."
        ) from error
    except yaml.YAMLError as error:
        raise TwintrainError(
            f"Recipe file {path} is not valid YAML: {error}", "Mend the line it names."
        ) from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise TwintrainError(
            f"Recipe file {path} holds {type(tree).__name__}, not keys and values.",
            "Write `key: value`.",
        )
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    relative = path.parent / str(parent)
    base = _read(parent if str(parent) in known else relative, (*seen, str(source)))
    return _merge(base, tree)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged
