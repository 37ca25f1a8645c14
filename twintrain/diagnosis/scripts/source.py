"""The files somebody brings, looked at before anything is run: no import, no execution."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from twintrain.diagnosis.scripts.notebook import read_notebook
from twintrain.errors import TwintrainError
from twintrain.parsing.text_files import read_text_file
from twintrain.problems.bound_names import names_bound_by

# What a module of four functions defines, and how each is called.
FUNCTIONS = {
    "build_model": "build_model()",
    "make_dataset": "make_dataset(split)",
    "keras_fit": "keras_fit(model, ds, epochs)",
    "custom_loop": "custom_loop(model, ds, epochs)",
}
MOST_FILES = 2
# Levels of a syntax tree. What walks one (ast.unparse, a NodeTransformer) takes up to four calls
# per level, of the thousand that Python allows; a chain of ten method calls has twenty.
DEEPEST = 200
# Names of which one occurs wherever a Keras model is trained.
_TRAINING = {"fit", "GradientTape", "train_on_batch", "train_step", "minimize", "fit_generator"}
# Of what cannot be watched: a name or string that shows it, and what it is.
_OTHER_KINDS = {
    "disable_v2_behavior": "TensorFlow 1 graphs and sessions",
    "disable_eager_execution": "TensorFlow 1 graphs and sessions",
    "Session": "TensorFlow 1 graphs and sessions",
    "InteractiveSession": "TensorFlow 1 graphs and sessions",
    "tf_keras": "tf_keras (Keras 2)",
    "TF_USE_LEGACY_KERAS": "tf_keras (Keras 2)",
    "tf_slim": "tf-slim",
}
_BACKENDS = {"torch", "jax"}


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes:
        path: as it was named.
        text: Python; of a notebook, its code cells one below the other.
        tree: its syntax tree.
        cells: of a notebook, per line the code cell and the line there; else empty.
        left_out: magics and shell commands of a notebook.
    """

    path: Path
    text: str
    tree: ast.Module
    cells: tuple[tuple[int, int], ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def is_functions(self) -> bool:
        """Whether it defines the four functions."""
        names = names_bound_by(self.tree)
        missing = set(FUNCTIONS) - names
        # `from common import *` may bring the rest.
        return not self.cells and (not missing or ("*" in names and len(missing) <= 2))


def look(paths: Sequence[Path]) -> list[Source]:
    """Read the files and see that they can be diagnosed: a module of four functions, or one or two
    scripts or notebooks that train something.

    Raises:
        TwintrainError: they cannot; all that is missing is said at once.
    """
    if len(paths) > MOST_FILES:
        raise TwintrainError(
            f"{len(paths)} files were named.",
            "Name one with both trainings in it, or two: first the one that calls fit.",
        )
    sources = [read(path) for path in paths]
    if len(sources) == 1 and sources[0].is_functions:
        return sources
    for source in sources:
        _refuse_others(source)
    untrained = [source for source in sources if not _trains(source)]
    if untrained:
        raise TwintrainError(*_nothing_trained(untrained))
    return sources


def read(path: Path) -> Source:
    """Read one file.

    Raises:
        TwintrainError: there is none, it is no Python file or notebook, or does not parse.
    """
    if not path.is_file():
        raise TwintrainError(
            f"There is no file {path}.",
            "Name a Python script or notebook that trains, or two; `twintrain diagnose --help` "
            "shows how.",
        )
    if path.suffix not in (".py", ".ipynb"):
        raise TwintrainError(
            f"{path} is not a Python file.", "Its name must end in .py, or .ipynb for a notebook."
        )
    if path.suffix == ".ipynb":
        notebook = read_notebook(path)
        tree = _parsed(path, notebook.text, notebook.cells)
        return Source(path, notebook.text, tree, notebook.cells, notebook.left_out)
    text = read_text_file(path, "The script", "Name a Python script that can be read.")
    return Source(path, text, _parsed(path, text, ()))


def _parsed(path: Path, text: str, cells: tuple[tuple[int, int], ...]) -> ast.Module:
    try:
        tree = ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        said = getattr(error, "msg", None) or error
        raise TwintrainError(
            f"{path} does not parse: {said} ({_where(line, cells)}).",
            "Mend that line; nothing was run.",
        ) from None
    except (RecursionError, MemoryError):
        raise TwintrainError(
            f"{path} does not parse: an expression is nested too deep for Python.",
            "Split it; nothing was run.",
        ) from None
    deepest = _deepest(tree)
    if deepest is not None:
        raise TwintrainError(
            f"{path} has an expression nested deeper than {DEEPEST} levels "
            f"({_where(deepest, cells)}).",
            "Split it; nothing was run.",
        )
    return tree


def _where(line: int, cells: tuple[tuple[int, int], ...]) -> str:
    """A line as whoever wrote the file counts it."""
    if not cells:
        return f"line {line}"
    cell, row = cells[min(line, len(cells)) - 1]
    return f"code cell {cell}, line {row}"


def _deepest(tree: ast.Module) -> int | None:
    """The line of a node that lies deeper than `DEEPEST` in the tree; None where none does."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return next((getattr(node, "lineno", 1) for node in level), None)


def _refuse_others(source: Source) -> None:
    found = sorted({_OTHER_KINDS[name] for name in _words(source.tree) if name in _OTHER_KINDS})
    found += [f"the {name} backend of Keras" for name in sorted(_backends(source.tree))]
    if found:
        raise TwintrainError(
            f"{source.path} uses {' and '.join(found)}, which cannot be watched.",
            "Keras 3 models trained by TensorFlow 2 can be: port the script first.",
        )


def _words(tree: ast.AST) -> Iterator[str]:
    """Names, attributes, imported modules and strings of a program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            yield from (part for part in (module or "").split(".") if part)
            yield from (part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value[:1]:
            yield node.value if node.value == "TF_USE_LEGACY_KERAS" else ""
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def _backends(tree: ast.AST) -> set[str]:
    """Backends of Keras that a program asks for."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            asked = any("KERAS_BACKEND" in ast.unparse(target) for target in node.targets)
            if asked and node.value.value in _BACKENDS:
                found.add(str(node.value.value))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("set_backend"):
            found |= {
                str(a.value)
                for a in node.args
                if isinstance(a, ast.Constant) and a.value in _BACKENDS
            }
    return found


def _trains(source: Source) -> bool:
    """Whether the file, or one beside it that it imports, trains something by the look of it."""
    seen: set[Path] = set()
    queue = [(source.tree, source.path.parent)]
    while queue:
        tree, folder = queue.pop()
        if _TRAINING & set(_words(tree)):
            return True
        for beside in modules_beside(tree, folder):
            if beside not in seen:
                seen.add(beside)
                try:
                    queue.append((ast.parse(beside.read_bytes()), folder))
                except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
                    continue
    return False


def modules_beside(tree: ast.AST, folder: Path) -> list[Path]:
    """The files in a folder that a program imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)}
    found = []
    for name in sorted(names - {""}):
        path = folder.joinpath(*name.split("."))
        found += [p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()]
    return found


def _nothing_trained(sources: list[Source]) -> tuple[str, str]:
    """What to say of files that train nothing."""
    said = []
    for source in sources:
        names = names_bound_by(source.tree)
        missing = [name for name in FUNCTIONS if name not in names]
        if len(missing) < len(FUNCTIONS):
            said.append(f"{source.path} has no function {', '.join(missing)}.")
        else:
            said.append(
                f"{source.path} trains nothing: no fit, no GradientTape, no train_on_batch."
            )
    return (
        " ".join(said),
        "Name a script or notebook that trains a Keras model, or a module with "
        f"{', '.join(FUNCTIONS.values())}.",
    )
