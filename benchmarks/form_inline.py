"""A function's body as statements of a script: parameters become names that are bound before, a
return becomes variables and prints.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable

from benchmarks.form_names import (
    SCOPES,
    bound_in,
    copied,
    fresh,
    name,
    parameters_of,
    parsed,
    read_in,
    substituted,
)

Said = Callable[[ast.expr], list[ast.stmt]]
BUILTINS = set(dir(builtins))


class CannotInlineError(Exception):
    """A body that would mean something else, or nothing, outside of its function."""


def inlined(function: ast.FunctionDef, given: dict[str, ast.expr], said: Said) -> list[ast.stmt]:
    """The statements of a function, as they stand in a script.

    Args:
        function: whose body it is.
        given: what its parameters are there; those with a default may be left out.
        said: what becomes of a returned value.

    Raises:
        CannotInlineError: it returns early, or its functions rebind its variables.
    """
    body = copied(function.body)
    if any(isinstance(node, ast.Nonlocal) for part in body for node in ast.walk(part)):
        raise CannotInlineError("a function in it rebinds its variables")
    rebound = bound_in(body)
    values = _defaults(function) | given
    before = [_assigned(p, v) for p, v in values.items() if p in rebound or p not in given]
    kept = {p: v for p, v in given.items() if p not in rebound}
    return without_self_assignments([*before, *substituted(_ended(body, said), kept)])


def _defaults(function: ast.FunctionDef) -> dict[str, ast.expr]:
    defaults = function.args.defaults
    if not defaults:
        return {}
    return dict(zip(parameters_of(function)[-len(defaults) :], defaults, strict=True))


def _assigned(target: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(target, ast.Store())], value)


def without_self_assignments(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without `x = x`, which is what is left of `x = make_dataset("test")`."""
    return [part for part in body if not _assigns_itself(part)]


def _assigns_itself(part: ast.stmt) -> bool:
    if not isinstance(part, ast.Assign) or not isinstance(part.value, ast.Name):
        return False
    return [ast.unparse(target) for target in part.targets] == [part.value.id]


def _ended(body: list[ast.stmt], said: Said) -> list[ast.stmt]:
    """The body with the return at its end turned into what is said of the value."""
    *before, last = body
    if any(_returns(part) for part in before):
        raise CannotInlineError("it returns early")
    if isinstance(last, ast.Return):
        return [*before, *(said(last.value) if last.value is not None else [])]
    if isinstance(last, ast.With) or (isinstance(last, ast.Try) and not last.handlers):
        last.body = _ended(last.body, said)
    elif _returns(last):
        raise CannotInlineError("it returns early")
    return [*before, last]


def _returns(node: ast.AST) -> bool:
    """Whether a statement may return from the function that it is in."""
    if isinstance(node, SCOPES):
        return False
    return isinstance(node, ast.Return) or any(_returns(c) for c in ast.iter_child_nodes(node))


def assigns(target: str) -> Said:
    """A returned value becomes a variable."""
    return lambda value: without_self_assignments([_assigned(target, value)])


def prints(function: ast.FunctionDef, show: str = "print({})") -> Said:
    """A returned log becomes a variable, if it is none, and is printed; a returned model needs no
    word.

    Args:
        function: whose value it is.
        show: how a script or a notebook shows a value.
    """
    model = parameters_of(function)[0]
    taken = bound_in(function.body) | read_in(function.body) | BUILTINS

    def said(value: ast.expr) -> list[ast.stmt]:
        if isinstance(value, ast.Tuple):
            value = value.elts[-1]
        if isinstance(value, ast.Name):
            if value.id == model:
                return []
            kept = _is_history(value.id, function)
            return parsed(show.format(f"{value.id}.history" if kept else value.id))
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
            return parsed(show.format(ast.unparse(value)))
        target = fresh(("history", "log", "results", "logged"), taken)
        shown = f"{target}.history" if is_fit(value) else target
        return [_assigned(target, value), *parsed(show.format(shown))]

    return said


def is_fit(value: ast.expr) -> bool:
    """Whether an expression is a call of a model's fit."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
        return False
    return value.func.attr == "fit" and isinstance(value.func.value, ast.Name)


def _is_history(target: str, function: ast.FunctionDef) -> bool:
    """Whether a variable is what fit returned."""
    return any(
        isinstance(part, ast.Assign)
        and ast.unparse(part.targets[0]) == target
        and is_fit(part.value)
        for part in function.body
    )


def renamed_apart(body: list[ast.stmt], suffix: str, keep: set[str]) -> list[ast.stmt]:
    """The body with what it binds under names of their own."""
    own = bound_in(body) - keep
    return substituted(body, {id_: name(id_ + suffix) for id_ in own})
