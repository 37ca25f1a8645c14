"""Recipes as files: finding, reading and overriding them, and saying what is wrong with one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from twintrain.errors import TwintrainError, did_you_mean, explained, shortened
from twintrain.parsing.text_files import read_text_file
from twintrain.parsing.yaml_text import MOST_CHARACTERS, load_yaml
from twintrain.recipe.recipe import Recipe, put

_MOST_PARENTS = 20  # that recipes may have in a row
_MOST_BYTES = 4 * MOST_CHARACTERS  # a character of UTF-8 has at most four


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
        shown = repr(shortened(override, 80))
        try:
            override.encode()
        except UnicodeEncodeError:
            raise TwintrainError(f"--set {shown} is not text in UTF-8.", "Type it anew.") from None
        if not equals or not key.strip():
            raise TwintrainError(
                f"--set {shown} is not of the form key=value.", "Example: training.epochs=10"
            )
        try:
            put(tree, key.strip(), _parse(text))
        except yaml.YAMLError as error:
            raise TwintrainError(
                f"--set {shown}: the value is not YAML ({error}).", "Quote it."
            ) from error
        except ValueError as error:
            raise TwintrainError(
                f"--set {shown}: {error}.", "`twintrain recipe` prints every key."
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
    value = load_yaml(text)
    # YAML 1.1 reads 1e-3 as text; everybody means the number.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _read(source: str | Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The keys and values of a recipe, of what it builds on too.

    Args:
        source: a built-in name or a path.
        seen: the files that build on it, from the first on.
    """
    known = builtin_recipes()
    path = known.get(str(source), Path(source))
    if not _is_there(path):
        raise TwintrainError(
            f"No recipe called {shortened(str(source), 200)!r}, and no file of that name.",
            did_you_mean(str(source), known),
        )
    # Files are told apart by where they are: a circle may call one by a new name in each round.
    if path.resolve() in seen:
        names = " -> ".join(str(file) for file in (*seen, path.resolve()))
        raise TwintrainError(f"Recipe {seen[0]} extends itself: {names}.", "Break the circle.")
    if len(seen) >= _MOST_PARENTS:
        raise TwintrainError(
            f"Recipe {seen[0]} extends more than {_MOST_PARENTS} others, one the other.",
            "Put them into one file.",
        )
    tree = _mapping_in(path)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    named = str(parent) if str(parent) in known else path.parent / str(parent)
    return _merge(_read(named, (*seen, path.resolve())), tree)


def _is_there(path: Path) -> bool:
    """Whether there is such a file, or something else that can be read to an end."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # too long a name, a null byte, no right to look
        return False


def _mapping_in(path: Path) -> dict[str, Any]:
    text = read_text_file(path, "Recipe file", "Give a readable YAML file.", _MOST_BYTES)
    try:
        tree = load_yaml(text)
    except yaml.YAMLError as error:
        raise TwintrainError(
            f"Recipe file {path} is not valid YAML: {error}.", "Mend the line it names."
        ) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise TwintrainError(
            f"Recipe file {path} holds {type(tree).__name__}, not keys and values.",
            "Write `key: value`.",
        )
    return tree


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged
