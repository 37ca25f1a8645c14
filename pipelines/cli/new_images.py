"""What `twintrain new --kind image` makes: data of images, a model to change, and a recipe."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from twintrain.errors import TwintrainError


def new_images(name: str, data: Path, force: bool, console: Console) -> None:
    """Take in images where they are no data directory yet, and write NAME.py and NAME.recipe.yaml.

    Args:
        name: of the problem, a Python name.
        data: images in a directory per label (or what else `data import` takes), or a data
            directory.
        force: replace files that are there.
        console: is told what was written.

    Raises:
        TwintrainError: files are there already, or the images cannot be taken in.
    """
    from twintrain.processes.replacing import replace_text

    file, recipe = Path(f"{name}.py"), Path(f"{name}.recipe.yaml")
    there = [path for path in (file, recipe) if path.exists()]
    if there and not force:
        raise TwintrainError(f"There is {there[0]} already.", "--force replaces it.")
    ready = data if is_data_of_images(data) else _taken_in(data, Path("data") / name)
    command = [
        *("twintrain", "run", "--quick", "--data", str(ready)),
        *("--recipe", str(recipe), "--root", f"runs/{name}"),
    ]
    line = f"PYTHONPATH=. {shlex.join(command)}"
    replace_text(file, _MODEL.format(name=name, command=line))
    replace_text(recipe, _recipe_text(name, ready, recipe))
    for path in (file, recipe):
        console.print(f"  wrote {path}", markup=False, soft_wrap=True)
    console.print(f"\nRead {file}, then:  {line}", markup=False, soft_wrap=True)


def is_data_of_images(data: Path) -> bool:
    """Whether that is a data directory of images as `run` takes it, with spans or without."""
    return any(any(data.glob(f"{below}train-images*")) for below in ("", "span-*/"))


def _taken_in(source: Path, target: Path) -> Path:
    from pipelines.cli.data import told, watched_import
    from twintrain.data.importing.import_data import ImportOptions

    taken = watched_import(source, target, ImportOptions())
    told(taken)
    return taken.data


def _recipe_text(name: str, data: Path, recipe: Path) -> str:
    beside = data / "recipe.yaml"
    known = os.path.relpath(beside, recipe.parent) if beside.exists() else "standard"
    tree: dict[str, Any] = {
        "extends": known,
        "name": name,
        "model": {"name": f"{name}:build_model"},
        "data": {"validation_fraction": 0.1},
        "tuning": {"trials": 0},
    }
    return yaml.safe_dump(tree, sort_keys=False)


_MODEL = '''"""{name}: which label an image has.

    {command}

The model is the textbook's; change it, both twins train whatever it is.
"""

from __future__ import annotations

import keras


def build_model(recipe, input_shape, classes):
    """An uncompiled model that ends in class probabilities.

    Args:
        recipe: every training decision; recipe.regularization.dropout, for one.
        input_shape: (height, width, channels) of an image, whose pixels are from 0 to 1.
        classes: number of labels.
    """
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dropout(recipe.regularization.dropout),
            # In float32 under mixed precision too: the loss is taken of it.
            keras.layers.Dense(classes, activation="softmax", dtype="float32"),
        ]
    )
'''
