"""The names that a program binds, read off its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Bound where a program does not say which names it has.
OPEN = frozenset({"*", "__getattr__"})


def names_bound_by(tree: ast.AST) -> frozenset[str]:
    """The names bound anywhere in a program; some of `OPEN` among them where it may have others."""
    return frozenset(name for node in ast.walk(tree) for name in _bound_by(node))


def _bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.alias():
            yield (node.asname or node.name).partition(".")[0]
