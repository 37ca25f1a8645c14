"""A module with the four functions, taken apart: what a person's version of it is printed from."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.form_names import bound_in, copied, read_in, substituted

ROOT = Path(__file__).resolve().parent.parent
FOUR = ("build_model", "make_dataset", "keras_fit", "custom_loop")
# What a module says about itself for the benchmarks.
META = {"CAUSE", "SOURCE", "MISTAKE_IN", "FIRST_VISIBLE"}
EPOCHS = 3
# For those that stop early or keep the best weights.
MANY_EPOCHS = 20


@dataclass(frozen=True, eq=False)
class Module:
    """The parts of a module.

    Attributes:
        name: of its file.
        imports: as they stand.
        items: constants and the definitions beside the four functions, in order.
        functions: the four, by name.
        epochs: to train for.
    """

    name: str
    imports: tuple[ast.stmt, ...]
    items: tuple[ast.stmt, ...]
    functions: dict[str, ast.FunctionDef]
    epochs: int

    def needed(self, roots: Iterable[ast.AST]) -> list[ast.stmt]:
        """Constants and definitions that nodes use, and those that these use, in order."""
        wanted, read = set(), read_in(roots)
        while True:
            more = [i for i in self.items if i not in wanted and bound_in([i]) & read]
            if not more:
                return [item for item in self.items if item in wanted]
            wanted |= set(more)
            read |= read_in(more)

    def imports_for(self, nodes: Iterable[ast.AST]) -> list[ast.stmt]:
        """The imports that nodes use."""
        read = read_in(nodes)
        found = []
        for statement in self.imports:
            used = [a for a in statement.names if (a.asname or a.name).split(".")[0] in read]  # type: ignore[attr-defined]
            if used:
                kept: Any = copied(statement)
                kept.names = used
                found.append(kept)
        return found


def read_module(path: Path) -> Module:
    """Take a module apart, from its source."""
    return module_of(path.stem, path.read_text(encoding="utf-8"))


def module_of(name: str, text: str) -> Module:
    """Take the source of a module apart; docstrings and what it says about itself are left out."""
    tree = _Paths().visit(ast.parse(text))
    imports, items, functions = [], [], {}
    epochs = MANY_EPOCHS if "EarlyStopping" in text else EPOCHS
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            if getattr(statement, "module", "") != "__future__":
                imports.append(statement)
        elif isinstance(statement, ast.FunctionDef) and statement.name in FOUR:
            functions[statement.name] = statement
        elif _is_docstring(statement) or bound_in([statement]) <= META:
            continue
        elif bound_in([statement]) == {"EPOCHS"}:
            epochs = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
        else:
            items.append(statement)
    return Module(name, tuple(imports), tuple(items), functions, epochs)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class _Paths(ast.NodeTransformer):
    """What lies beside a module's repository is named by its whole path: the printed file lies
    elsewhere.
    """

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if ast.unparse(node) == "Path(__file__).parents[2]":
            return ast.parse(f"Path({str(ROOT)!r})", mode="eval").body
        return self.generic_visit(node)


class _Folding(ast.NodeTransformer):
    """Computes what is known once the split is."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant):
            return node.body if node.test.value else node.orelse
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        return _constant(node, node.left, *node.comparators)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if any(isinstance(side, ast.Constant) and side.value is True for side in _sides(node)):
            return _constant(node, *_sides(node))
        if isinstance(node.right, ast.Constant) and node.right.value is False:
            return _constant(node, *_sides(node))
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Dict) and isinstance(node.slice, ast.Constant):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            wanted = node.slice.value
            chosen = [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == wanted]
            return chosen[0] if chosen else node
        return node


def _sides(node: ast.BinOp) -> tuple[ast.expr, ast.expr]:
    return node.left, node.right


def _constant(node: ast.expr, *parts: ast.expr) -> ast.expr:
    """The value of an expression of constants; other expressions as they are."""
    if not all(isinstance(part, ast.Constant) for part in parts):
        return node
    known = compile(ast.Expression(ast.fix_missing_locations(node)), "constant", "eval")
    return ast.Constant(eval(known, {}))


def folded(body: list[Any], split: str, parameter: str) -> list[Any]:
    """The body of make_dataset for one split, with what follows from the split computed."""
    known = substituted(body, {parameter: ast.Constant(split)})
    return [_Folding().visit(statement) for statement in known]
