"""What can be seen to be wrong before anything is started: data, schema, model.

The engine checks all of this again, and more; but it takes TensorFlow and TFX to say so, which is
half a minute in which a person waits to be told of a typing error. Nothing here imports either.
"""

from __future__ import annotations

import ast
import errno
import gzip
import importlib.machinery
import importlib.util
import os
import struct
from pathlib import Path

from twintrain.data import idx
from twintrain.data.example_spec import LABEL
from twintrain.data.table_files import find_tables
from twintrain.errors import TwintrainError
from twintrain.problems.bound_names import OPEN, names_bound_by
from twintrain.problems.find import MODELS, check_label_names, model_function
from twintrain.problems.statement import IMAGES
from twintrain.recipe.recipe import Recipe


def look(recipe: Recipe, data: Path, schema_file: Path, import_path: list[str]) -> None:
    """Look at what a run is to be started with; the images of spans are left to `look_at_images`.

    Args:
        recipe: loaded and checked.
        data: a directory of IDX files, or of `span-N` sub-directories.
        schema_file: the curated schema.
        import_path: where the run will look for modules.

    Raises:
        TwintrainError: something is missing or does not fit the rest.
    """
    if recipe.problem.module is not None:
        find_tables(data)
    else:
        if not idx.find_spans(data):
            look_at_images(data, recipe.data.image_shape)
        check_label_names(recipe, labels_of(schema_file))
    look_for_functions(recipe, import_path)


def look_at_images(folder: Path, shape: tuple[int, int, int] | None = None) -> None:
    """Look at the IDX files of a directory: their headers, and all labels.

    Args:
        folder: should hold the four files.
        shape: (height, width, channels) the recipe expects; None where it does not matter.

    Raises:
        TwintrainError: a file is missing, is not IDX, or does not fit its partner or the recipe.
    """
    for split in idx.SPLIT_PREFIXES:
        pair = idx.find_pair(folder, split)
        labels = len(idx.read_labels(pair.labels))
        count, *sizes = _images_shape(pair.images)
        if count != labels:
            raise TwintrainError(
                f"{pair.images} holds {count:,} images but {pair.labels} holds {labels:,} labels.",
                "The two files must belong together.",
            )
        found = (*sizes, 1)[:3]
        if shape is not None and found != shape:
            raise TwintrainError(
                f"{pair.images} holds images of {' x '.join(map(str, found))}, the recipe expects "
                f"{' x '.join(map(str, shape))} (height, width, channels).",
                f"Use --set data.image_shape=[{','.join(map(str, found))}]",
            )


def _images_shape(path: Path) -> tuple[int, ...]:
    """Number of images, height, width and, in colour, channels, as the header has them."""
    for _ in idx.read_images(path, 0, 1):  # says what is wrong with the header or the first image
        pass
    with path.open("rb") as plain:
        gzipped = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if gzipped else path.open("rb") as file:
        dimensions = file.read(4)[3]
        return struct.unpack(f">{dimensions}I", file.read(4 * dimensions))


def look_at_root(root: Path) -> None:
    """Make a directory that is to be written to, and see that it can be.

    Raises:
        TwintrainError: it cannot.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not os.access(root, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise TwintrainError(
            f"The root {root} cannot be written: {error.strerror}.", "Choose another with --root."
        ) from error


def labels_of(schema_file: Path) -> int:
    """How many labels a curated schema for images has.

    Raises:
        TwintrainError: as `components.curated_schema.load_rules`.
    """
    from components.curated_schema import count_labels, load_rules

    return count_labels(load_rules(schema_file, IMAGES.raw_columns, IMAGES), LABEL)


def look_for_functions(recipe: Recipe, import_path: list[str]) -> None:
    """See that there are the model and the loop that a recipe names, without importing them.

    Args:
        recipe: `model.name` is a built-in name or 'package.module:function', as is `twins.loop`.
        import_path: where the run will look for modules.

    Raises:
        TwintrainError: there is no such built-in model, module or function.
    """
    module, function = model_function(recipe.model.name)
    if recipe.model.name not in MODELS:
        _look_for("model.name", module, function, import_path)
    if recipe.twins.own:
        module, _, function = recipe.twins.loop.partition(":")
        _look_for("twins.loop", module, function, import_path)


def _look_for(field: str, module: str, function: str, import_path: list[str]) -> None:
    found = _find_module(module, import_path)
    if found is None:
        raise TwintrainError(f"{field}: there is no module {module!r}.", "Put it on PYTHONPATH.")
    known = names_bound_in(found)
    if known is not None and function not in known:
        raise TwintrainError(
            f"{field}: module {module!r} has no {function!r}.", "Name a function it has."
        )


def _find_module(dotted: str, import_path: list[str]) -> Path | None:
    """The file of a module; None where there is none.

    `importlib.util.find_spec` would import the packages on the way to it.
    """
    first, *rest = dotted.split(".")
    find = importlib.machinery.PathFinder.find_spec
    spec = find(first, import_path) or importlib.util.find_spec(first)
    for part in rest:
        spec = find(part, list(spec.submodule_search_locations or [])) if spec else None
    return Path(spec.origin or "") if spec else None


def syntax_error_in(path: Path) -> str:
    """What keeps a Python file from being parsed, with its line; empty where it can be."""
    try:
        ast.parse(path.read_bytes())
    except SyntaxError as error:
        return f"{path.name}, line {error.lineno}: {error.msg}"
    except (RecursionError, MemoryError):
        return f"{path.name} is nested deeper than Python can read"
    except (OSError, ValueError) as error:
        return f"{path.name}: {error}"
    return ""


def names_bound_in(path: Path) -> frozenset[str] | None:
    """The names that a module's source binds anywhere.

    Returns:
        None where the source does not say: it is not Python, does not parse, or gets names by `*`
        or `__getattr__`.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = names_bound_by(tree)
    return None if names & OPEN else names
