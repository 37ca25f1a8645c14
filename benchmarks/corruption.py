"""Inputs that are nearly right: valid ones with a few bytes, values or headers changed.

Each function takes a `random.Random`, so that a seed repeats them and hypothesis can shrink them
(`st.randoms()`).
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from random import Random
from typing import Any

import numpy as np

# Values that readers of text stumble over, as they stand in YAML, JSON or protobuf text.
_FRAGMENTS = (
    "\0",
    "\x1b[31m",
    "\ufeff",
    '"\\ud800"',
    '"\\377"',
    "&a [*a, *a]",
    "*nobody",
    "<<: {a: 1}",
    "!!timestamp x",
    "!!int ''",
    "!!float x",
    "!!binary '*'",
    "!!python/object:os.system x",
    "2020-99-99",
    "9" * 5000,
    "1e999",
    ".nan",
    "-.inf",
    "NaN",
    "[" * 2000,
    "{" * 2000,
    "- " * 500,
    "a: " * 50,
    "? " * 500,
    "'",
    '"',
    "\t",
    "\u2028",
    "#",
    "---\n",
    "%YAML 9.9\n",
    ": ",
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    10**400,
    10**17,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    "",
    "x" * 10_000,
    "\0",
    "\x1b[31m<b>$x$",
    [],
    [[]],
    {},
    {"a": {"a": 1}},
    [None],
)


def corrupted(content: bytes, random: Random) -> bytes:
    """Bytes with one to four changes: bits flipped, parts cut out, doubled, overwritten or added,
    the end missing.
    """
    left = bytearray(content)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, max(0, len(left) - 1))
        length = random.choice((1, 2, 4, 64))
        kind = random.randint(0, 6)
        if not left:
            return b""
        if kind == 0:
            left[at] ^= 1 << random.randint(0, 7)
        elif kind == 1:
            del left[at : at + length]
        elif kind == 2:
            left[at:at] = left[at : at + length]
        elif kind == 3:
            left[at : at + length] = bytes(random.choice((0, 255, 127)) for _ in range(length))
        elif kind == 4:
            del left[at:]
        elif kind == 5:
            left[at:at] = random.choice(_FRAGMENTS).encode("utf-8")
        else:
            left[at] = random.randint(0, 255)
    return bytes(left)


def odd_text(text: str, random: Random) -> bytes:
    """A text in which odd values stand where others stood, or bytes are changed."""
    lines = text.splitlines(keepends=True)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randint(0, len(lines) - 1)
        line, fragment = lines[at], random.choice(_FRAGMENTS)
        head, colon, _ = line.partition(":")
        kind = random.randint(0, 3)
        if kind == 0 and colon:
            lines[at] = f"{head}: {fragment}\n"
        elif kind == 1:
            lines[at] = line + line
        elif kind == 2:
            lines.insert(at, fragment + "\n")
        else:
            lines[at] = line.replace(random.choice(line.split() or [" "]), fragment, 1)
    whole = "".join(lines).encode("utf-8", "replace")
    return corrupted(whole, random) if random.randint(0, 3) == 0 else whole


def odd_tree(tree: Any, random: Random) -> Any:
    """JSON values with one to three of them replaced, scaled, taken out, doubled or nested."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return tree
        holder, key = random.choice(places)
        kind = random.randint(0, 7)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[f"{key}_"] = holder.pop(key)
        elif kind == 2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == 3:
            other, there = random.choice(places)
            holder[key] = copy.deepcopy(other[there])
        elif kind <= 5 and isinstance(holder[key], int | float):
            holder[key] *= random.choice((-1, 0, 0.5, 2, 1000))
        else:
            holder[key] = copy.deepcopy(random.choice(_VALUES))
    return tree


def odd_json(tree: Any, random: Random) -> bytes:
    """JSON of an odd tree; sometimes nested beyond Python's stack, or with bytes changed."""
    text = json.dumps(odd_tree(tree, random))
    kind = random.randint(0, 9)
    if kind == 0:
        text = text.replace("null", "[" * 5000 + "]" * 5000, 1)
    content = text.encode("utf-8", "replace")
    return corrupted(content, random) if kind == 1 else content


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every holder and key in a tree."""
    found: list[tuple[Any, Any]] = []
    queue = [tree]
    while queue:
        node = queue.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        found += [(node, key) for key in keys]
        queue += [node[key] for key in keys if isinstance(node[key], (dict, list)) and node[key]]
    return found


def odd_npz(random: Random) -> bytes:
    """A .npz file with odd arrays, or with right ones whose bytes were changed before or after they
    were packed.
    """
    members = {
        name: _packed(array) for name, array in (("x", _odd_images(random)), ("y", _labels(random)))
    }
    if random.randint(0, 2) == 0:
        name = random.choice(("x", "y"))
        members[name] = _odd_header(members[name], random)
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy" if random.randint(0, 9) else name, content)
    return corrupted(file.getvalue(), random) if random.randint(0, 2) == 0 else file.getvalue()


def _packed(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=array.dtype.hasobject)
    return file.getvalue()


def _odd_images(random: Random) -> np.ndarray:
    if random.randint(0, 1):
        return np.zeros((4, 3, 3), np.uint8)
    shape = random.choice(((4, 3, 3), (4, 3, 3, 3), (4, 3, 3, 2), (0, 3, 3), (4, 9), (), (4, 0, 3)))
    kinds = ("u1", "u1", "u1", "f4", "i8", "c8", "S3", "U2", "m8[s]", "M8[D]", "?", "V3", "O", "f2")
    return np.zeros(shape, random.choice(kinds))


def _labels(random: Random) -> np.ndarray:
    if random.randint(0, 1):
        return np.array([0, 1, 0, 1])
    kind = random.choice(("i8", "i8", "u1", "m8[s]", "f4", "U1", "?", "u8", "O"))
    labels = np.array([0, 1, 0, 1]).astype(kind)
    shapes = (labels, labels, labels[:, None], labels.reshape(2, 2), labels[:3], labels[:0])
    return random.choice((*shapes, labels[0, ...]))


def _odd_header(member: bytes, random: Random) -> bytes:
    """An array's bytes with another header of the same length."""
    texts = (
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, -3, 3), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 3, 3",
        "{'descr': " + "(" * 90 + ", }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
        "{'descr': [('a', '|u1')], 'fortran_order': True, 'shape': (4, 3, 3), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 3, 3), }",
        "{'shape': (4,)}",
        "\xff\xfe",
        "'" * 3,
        "",
    )
    size = int.from_bytes(member[8:10], "little")
    text = random.choice(texts).encode("latin-1").ljust(size)[:size]
    changed = member[:10] + text + member[10 + size :]
    version = random.choice((1, 1, 1, 2, 3, 9))
    return changed[:6] + bytes([version]) + changed[7:]


def odd_parquet(random: Random) -> bytes:
    """A Parquet file with odd columns or metadata, or a right one whose bytes were changed."""
    import pyarrow as pa
    from pyarrow import parquet

    images: Any = pa.array([{"bytes": b"\x89PNG", "path": "a"}] * 3)
    if random.randint(0, 3) == 0:
        images = pa.array(random.choice(([b"x", None, b""], ["a", "b", "c"], [1, 2, 3])))
    labels = random.choice(([0, 1, 0], [0, None, 1], [-1, 0, 1], [0.5, 1.0, 2.0], [300, 0, 1]))
    name = random.choice(("label", "label", "label", "kind", "", "\x1b[31m"))
    table = pa.table({"image": images, name: pa.array(labels)})
    features: Any = random.choice(
        (
            {"label": {"names": ["a", "b"]}},
            {"label": {"names": "ab"}},
            {"label": {"names": {"a": 1}}},
            {"label": [1]},
            [],
            None,
        )
    )
    text = json.dumps({"info": {"features": features}}).encode()
    odd = (text, b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b"null", b"")
    table = table.replace_schema_metadata({b"huggingface": random.choice(odd)})
    file = io.BytesIO()
    parquet.write_table(table, file)
    return corrupted(file.getvalue(), random) if random.randint(0, 1) else file.getvalue()
