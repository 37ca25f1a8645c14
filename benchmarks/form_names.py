"""Names in a syntax tree: which a body binds, which it reads, which its functions read later; and
names put in place of others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def copied(node: Any) -> Any:
    """A copy of a tree (or a list of them); `copy.deepcopy` takes several times as long."""
    if isinstance(node, list):
        return [copied(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    found = type(node)()
    found.__dict__.update({key: copied(value) for key, value in node.__dict__.items()})
    return found


class _Bound(ast.NodeVisitor):
    """Gathers what is bound in one scope."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, (*COMPREHENSIONS, ast.Lambda)):
            return
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self.found.add(node.name)
            return
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            self.found.add(node.id)
        elif isinstance(node, ast.alias):
            self.found.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self.found.add(node.name)
        super().generic_visit(node)


def bound_in(body: Iterable[ast.stmt]) -> set[str]:
    """Names that statements bind in their own scope."""
    visitor = _Bound()
    for statement in body:
        visitor.visit(statement)
    return visitor.found


def read_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Names that are read anywhere within."""
    return {
        node.id
        for root in nodes
        for node in ast.walk(root)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def parameters_of(function: Any) -> list[str]:
    """Names of a function's parameters, in order."""
    given = function.args
    found = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return found + [a.arg for a in (given.vararg, given.kwarg) if a is not None]


def read_later(body: Iterable[ast.stmt]) -> set[str]:
    """Names that functions, lambdas and classes within read of what is around them, perhaps when
    these statements have long been run.
    """
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, SCOPES):
                found |= free_in(node)
    return found


def free_in(scope: ast.AST) -> set[str]:
    """Names that a function or class reads of what is around it."""
    own: set[str] = set()
    for node in ast.walk(scope):
        if isinstance(node, FUNCTIONS):
            own |= set(parameters_of(node))
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            own.add(node.id)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node is not scope:
            own.add(node.name)
    return read_in([scope]) - own


class _Substitution(ast.NodeTransformer):
    """Puts expressions in the place of names, but not where a function has its own."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.values.get(node.id)
        if value is None:
            return node
        if isinstance(node.ctx, ast.Load):
            return copied(value)
        changed = copied(value)
        changed.ctx = node.ctx  # type: ignore[attr-defined]
        return changed

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        node.args.defaults = [self.visit(d) for d in node.args.defaults]
        node.body = self._inside(node, node.body)
        name = self.values.get(node.name)
        if isinstance(name, ast.Name):
            node.name = name.id
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        (node.body,) = self._inside(node, [node.body])
        return node

    def _inside(self, function: Any, body: list[Any]) -> list[Any]:
        own = set(parameters_of(function))
        if not isinstance(function, ast.Lambda):
            own |= bound_in(body)
        left = {name: value for name, value in self.values.items() if name not in own}
        inner = _Substitution(left)
        return [inner.visit(statement) for statement in body]


def substituted(body: Iterable[Any], values: dict[str, ast.expr]) -> list[Any]:
    """Copies of nodes with expressions in the place of names."""
    transformer = _Substitution(values)
    return [transformer.visit(copied(node)) for node in body]


def fresh(wanted: Iterable[str], taken: set[str]) -> str:
    """The first name that is not taken."""
    return next(name for name in wanted if name not in taken)


def name(id_: str) -> ast.Name:
    """The name, to be read."""
    return ast.Name(id_, ast.Load())


def parsed(text: str) -> list[ast.stmt]:
    """Statements, from their source."""
    return ast.parse(text).body


class _Plain(ast.NodeTransformer):
    """Takes away parentheses that a person would not write."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        node.value = _bare(node.value)
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        node.value = node.value and _bare(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if len(node.args) == 1 and not node.keywords:
            (only,) = node.args
            if isinstance(only, ast.GeneratorExp):
                node.args = [name(ast.unparse(only)[1:-1])]
        return node


def _bare(value: ast.expr) -> ast.expr:
    """The tuple without its parentheses, as a name of that text; other values as they are."""
    if isinstance(value, ast.Tuple) and len(value.elts) > 1:
        return name(", ".join(ast.unparse(part) for part in value.elts))
    return value


def source_of(body: Iterable[ast.stmt]) -> str:
    """The source of statements."""
    module = ast.Module([_Plain().visit(copied(part)) for part in body], [])
    return ast.unparse(ast.fix_missing_locations(module))
