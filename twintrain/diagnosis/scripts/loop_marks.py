"""Marks the loops of a program in its syntax tree, so that they can be followed and ended early.

`for x in items:` becomes `for x in marks.each(key, items):`, `while test:` becomes
`while marks.again(key) and test:`; comprehensions likewise. Lines and columns stay as they are, so
that tracebacks and AutoGraph, which reads the file itself, see the program as it was written.
"""

from __future__ import annotations

import ast

# Stands for the object that follows loops, in the globals of the program.
HOOK = "__twintrain_loops__"

# File, line and column of a loop, or of a call (whose column is 0).
Key = tuple[str, int, int]


def marked(tree: ast.Module, filename: str) -> ast.Module:
    """The same program with all of its loops marked."""
    return ast.fix_missing_locations(_Marker(filename).visit(tree))


class _Marker(ast.NodeTransformer):
    def __init__(self, filename: str) -> None:
        self._filename = filename

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        node.iter = self._call("each", node, node.iter)
        return node

    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        again = self._call("again", node, ast.copy_location(_constant(node.end_lineno), node.test))
        node.test = ast.copy_location(ast.BoolOp(ast.And(), [again, node.test]), node.test)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        self.generic_visit(node)
        if not node.is_async:
            node.iter = self._call("each", node, node.iter)
        return node

    def _call(
        self, method: str, node: ast.For | ast.While | ast.comprehension, argument: ast.expr
    ) -> ast.Call:
        of = node.test if isinstance(node, ast.While) else node.iter
        at = node.target if isinstance(node, ast.comprehension) else node
        hook = ast.Attribute(ast.Name(HOOK, ast.Load()), method, ast.Load())
        parts = (self._filename, at.lineno, at.col_offset)
        key = ast.Tuple([_constant(part) for part in parts], ast.Load())
        call = ast.Call(hook, [key, argument], [])
        for part in ast.walk(call):
            if part is not argument and isinstance(part, (ast.expr,)) and not _placed(part):
                ast.copy_location(part, of)
        return call


def _constant(value: str | int | None) -> ast.Constant:
    return ast.Constant(value)


def _placed(node: ast.AST) -> bool:
    return hasattr(node, "lineno")
