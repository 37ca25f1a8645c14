"""Small edits of one call in a Python file, each proven: the text is parsed again, and must be the
old syntax tree with that edit made, and nothing else.

    after(source, end, with_keyword("training", True))

    Functions that make an edit change the tree of a call, and give the texts that may do the same;
    the first one that does is taken.
"""

from __future__ import annotations

import ast
import copy
import difflib
import re
from collections.abc import Callable, Iterator
from typing import Any

# What becomes of a call: its tree is changed, and texts are given that may take the place of its
# own. None where the edit cannot be made.
Plain = str | int | bool
Edit = Callable[["CallText"], Iterator[str] | None]


class CallText:
    """A call in a file.

    Args:
        call: its tree; edits change it.
        source: of the whole file.

    Attributes:
        call: as given.
        start: characters of the file before it.
        text: its own.
    """

    def __init__(self, call: ast.Call, source: str) -> None:
        self.call = call
        # Python counts columns in bytes.
        self._bytes = source.encode()
        self._lines = self._bytes.splitlines(keepends=True)
        self.start = 0
        self.start, end = self.before(call), self.behind(call)
        self.text = source[self.start : end]

    def before(self, part: Any) -> int:
        """Characters of the call up to a part."""
        return self._characters(part.lineno, part.col_offset)

    def behind(self, part: Any) -> int:
        """Characters of the call up to the end of a part."""
        return self._characters(part.end_lineno, part.end_col_offset)

    def _characters(self, line: int, column: int) -> int:
        place = sum(map(len, self._lines[: line - 1])) + column
        return len(self._bytes[:place].decode()) - self.start


def edited(source: str, end: tuple[int, int], edit: Edit) -> str | None:
    """A file with one call changed; None where that cannot be done for certain.

    Args:
        source: of the file.
        end: line (from 1) and column (in bytes) behind the call.
        edit: what becomes of it.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    call = _call_that_ends(tree, end)
    if call is None:
        return None
    found = CallText(call, source)
    for text in edit(found) or ():
        changed = source[: found.start] + text + source[found.start + len(found.text) :]
        if _dump(changed) == ast.dump(tree):
            return changed
    return None


def _call_that_ends(tree: ast.AST, end: tuple[int, int]) -> ast.Call | None:
    """No two calls end at one place: each ends with a bracket of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (node.end_lineno, node.end_col_offset) == end:
            return node
    return None


def _dump(source: str) -> str | None:
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return None


def with_keyword(name: str, value: Plain, only_after: int | None = None, name_of: str = "") -> Edit:
    """An argument by name is given, or given another value where it has a plain one.

    Args:
        name: of the argument.
        value: a plain one.
        only_after: the number of arguments by place, where that matters: one that is given by place
            cannot be given by name too.
        name_of: what is called, where that must be so.
    """

    def edit(found: CallText) -> Iterator[str] | None:
        call = found.call
        given = next((keyword for keyword in call.keywords if keyword.arg == name), None)
        if not _is_plain(call) or only_after not in (None, len(call.args)):
            return None
        if name_of and ast.unparse(call.func).split(".")[-1] != name_of:
            return None
        if given is None:
            call.keywords.append(ast.keyword(name, ast.Constant(value)))
            return _appended(found, f"{name}={value!r}")
        if not isinstance(given.value, ast.Constant):
            return None
        return _replaced(found, given.value, value)

    return edit


def with_first(name: str, value: int) -> Edit:
    """The first argument, given by place or by this name, is a plain number."""

    def edit(found: CallText) -> Iterator[str] | None:
        call = found.call
        given = [keyword.value for keyword in call.keywords if keyword.arg == name]
        parts = call.args[:1] or given
        if not _is_plain(call) or not parts or bool(call.args) == bool(given):
            return None
        old = parts[0]
        texts = _replaced_text(found, old, repr(value))
        if call.args:
            call.args[0] = ast.Constant(value)
        else:
            next(k for k in call.keywords if k.arg == name).value = ast.Constant(value)
        return texts

    return edit


def without_keyword(name: str, value: Plain) -> Edit:
    """An argument by name that has this plain value is left out."""

    def edit(found: CallText) -> Iterator[str] | None:
        call = found.call
        given = next((keyword for keyword in call.keywords if keyword.arg == name), None)
        if given is None or not isinstance(given.value, ast.Constant) or not _is_plain(call):
            return None
        if given.value.value is not value:
            return None
        parts: list[Any] = [*call.args, *call.keywords]
        parts.sort(key=lambda part: (part.lineno, part.col_offset))
        place = parts.index(given)
        texts = iter(_cut_out(found, parts, place))
        call.keywords.remove(given)
        return texts

    return edit


def with_call_before(method: str, *arguments: Plain) -> Edit:
    """`x.this(...)` becomes `x.method(arguments).this(...)`."""

    def edit(found: CallText) -> Iterator[str] | None:
        function = found.call.func
        if not isinstance(function, ast.Attribute):
            return None
        said = f".{method}({', '.join(map(repr, arguments))})"
        cut = found.behind(function.value)
        text = found.text[:cut] + said + found.text[cut:]
        # A receiver in brackets of its own ends before its closing one.
        closed = found.text.find(")", cut) + 1
        other = found.text[:closed] + said + found.text[closed:]
        inner = ast.Attribute(copy.deepcopy(function.value), method, ast.Load())
        function.value = ast.Call(inner, [ast.Constant(value) for value in arguments], [])
        return iter((text, other))

    return edit


def _is_plain(call: ast.Call) -> bool:
    """Whether nothing is unpacked into a call: then its arguments can be read."""
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    return not starred and all(keyword.arg is not None for keyword in call.keywords)


def _appended(found: CallText, said: str) -> Iterator[str]:
    """An argument more, behind the last one; before the closing bracket where that one has brackets
    of its own.
    """
    call, text = found.call, found.text
    parts: list[Any] = [*call.args, *call.keywords[:-1]]
    if parts:
        last = max(found.behind(part) for part in parts)
        yield f"{text[:last]}, {said}{text[last:]}"
    yield f"{text[:-1]}{', ' if parts else ''}{said})"


def _replaced(found: CallText, old: ast.Constant, value: Plain) -> Iterator[str]:
    texts = list(_replaced_text(found, old, repr(value)))
    old.value = value
    old.kind = None
    return iter(texts)


def _replaced_text(found: CallText, old: ast.AST, said: str) -> Iterator[str]:
    begin, end = found.before(old), found.behind(old)
    return iter((found.text[:begin] + said + found.text[end:],))


def _cut_out(found: CallText, parts: list[Any], place: int) -> list[str]:
    """Without one part, and without the comma to the one before it, or else behind it."""
    text, part = found.text, parts[place]
    begin, end = found.before(part), found.behind(part)
    texts = []
    if place:
        texts.append(text[: found.behind(parts[place - 1])] + text[end:])
    if place + 1 < len(parts):
        texts.append(text[:begin] + text[found.before(parts[place + 1]) :])
    if len(parts) == 1:
        texts.append(text[:begin] + text[end:])
    return texts


def unified(file: str, before: str, after: str) -> str:
    """The difference of two texts of a file, for `git apply` and `patch -p1`."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{file}", f"b/{file}", n=1)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
