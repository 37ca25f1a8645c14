"""Functions of the user's that a recipe names as 'package.module:function'."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from twintrain.errors import TwintrainError

_NOTEBOOK = "__main__"


def load_function(field: str, module: str, function: str) -> Callable[..., Any]:
    """Import a function.

    Args:
        field: of the recipe, which names it.
        module: dotted.
        function: a name in it.

    Raises:
        TwintrainError: there is no such module or function, or the module raises.
    """
    there = import_module(field, module)
    if not hasattr(there, function):
        raise TwintrainError(
            f"{field}: module {module!r} has no {function!r}.", "Name a function it has."
        )
    found = getattr(there, function)
    if not callable(found):
        raise TwintrainError(
            f"{field}: {function!r} in module {module!r} is no function, but "
            f"{type(found).__name__}.",
            "Name a function it has.",
        )
    return found  # type: ignore[no-any-return]


def import_module(field: str, module: str) -> ModuleType:
    """Import a module of the user's.

    Args:
        field: of the recipe, which names it.
        module: dotted.

    Raises:
        TwintrainError: there is no such module, or it raises.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TwintrainError(
            f"{field}: module {module!r} cannot be imported ({error}).", "Put it on PYTHONPATH."
        ) from error
    except Exception as error:
        raise _raised(field, module, error) from error


def _raised(field: str, module: str, error: Exception) -> TwintrainError:
    where = f"line {error.lineno} of it" if isinstance(error, SyntaxError) else "its import"
    return TwintrainError(
        f"{field}: {where} ({module!r}) fails with {type(error).__name__}: {error}.",
        f"See that `python -c 'import {module}'` works.",
    )


def digest_of_module(module: str) -> str:
    """SHA-256 of a module's source, 64 hexadecimal digits; '' where there is no such module.

    What was typed into a notebook or an interpreter is never the same twice: nothing says what else
    its functions look at.
    """
    if module == _NOTEBOOK:
        file = getattr(sys.modules.get(_NOTEBOOK), "__file__", None)
        return _digest(Path(file)) if file else hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:  # made by hand, of no file
        return hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    if spec is None or not spec.has_location or spec.origin is None:
        return ""
    return _digest(Path(spec.origin))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
