"""YAML that people write by hand, read within limits.

PyYAML's safe loader runs no code, but it lets out ValueError, AttributeError, IndexError and
RecursionError for odd scalars and deep nesting, takes minutes over aliases that are nested (eight
lines can stand for a billion values), and keeps the last of two equal keys without a word.
"""

from __future__ import annotations

from typing import Any

import yaml

MOST_CHARACTERS = 200_000  # PyYAML reads that many in about three seconds
DEEPEST = 32


class RefusedYamlError(yaml.YAMLError):
    """Why a text cannot be taken, in a line: 'line 3, column 5: expected ...'."""


def load_yaml(text: str) -> Any:
    """The one document of a YAML text, of plain values only.

    Args:
        text: at most `MOST_CHARACTERS`, nested at most `DEEPEST` levels, without aliases and
            without a key that is there twice.

    Raises:
        yaml.YAMLError: it is not YAML or beyond those limits; its text is one line.
    """
    if len(text) > MOST_CHARACTERS:
        raise RefusedYamlError(f"it has {len(text):,} characters, more than {MOST_CHARACTERS:,}")
    loader = None
    try:
        loader = _PlainLoader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise RefusedYamlError(where + (error.problem or "not understood")) from None
    except yaml.YAMLError as error:
        raise RefusedYamlError(" ".join(str(error).split())) from None
    except (ValueError, OverflowError):
        # Of the scanner, before there is a node: escapes of no character, versions of 5,000 digits.
        mark = loader.get_mark() if loader is not None else None
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise RefusedYamlError(f"{where}a number or an escape that cannot be read") from None


class _PlainLoader(yaml.SafeLoader):
    """The safe loader within the limits of `load_yaml`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node of the tree, unless it is an alias or lies too deep."""
        event = self.peek_event()
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            problem = f"aliases such as *{event.anchor:.40} are not taken; write the value out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        if self._depth >= DEEPEST:
            problem = f"nested deeper than {DEEPEST} levels"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node."""
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:
            # Whatever Python's own conversions raise: dates that are none, numbers without digits
            # or with more than int() takes.
            raise self._unfit(node) from error
        if isinstance(value, str) and not value.isascii() and _has_surrogates(value):
            raise self._unfit(node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, unless a key is in it twice."""
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value[:40]!r} is there twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    @staticmethod
    def _unfit(node: yaml.Node) -> yaml.MarkedYAMLError:
        kind = node.tag.rsplit(":", 1)[-1]
        problem = f"{str(node.value)[:40]!r} cannot be read as {kind}; quote it to have text"
        return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _has_surrogates(text: str) -> bool:
    """Whether it has halves of characters, as some escapes make: they cannot be written."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)
