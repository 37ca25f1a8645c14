"""JSON documents that hold a digest of themselves.

The digest is of the document as it was written, not of what a later version's classes make of it: a
field that is added one day must not accuse the files of before.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel

_DIGEST = "digest"  # the field that holds it


def sealed_json(document: BaseModel) -> str:
    """A document's JSON with its digest in the field `digest`."""
    tree = json.loads(document.model_dump_json())
    return json.dumps(tree | {_DIGEST: _digest_of(tree)}, indent=1, ensure_ascii=False)


def was_changed(text: str | bytes) -> bool:
    """Whether a document is another than was written; one without a digest is not.

    Raises:
        ValueError: it is no JSON.
    """
    tree = json.loads(text)
    digest = tree.get(_DIGEST) if isinstance(tree, dict) else None
    return bool(digest) and digest != _digest_of(tree)


def has_digest(text: str | bytes) -> bool:
    """Whether a document holds a digest of itself.

    Raises:
        ValueError: it is no JSON.
    """
    tree = json.loads(text)
    return isinstance(tree, dict) and bool(tree.get(_DIGEST))


def _digest_of(tree: dict[str, Any]) -> str:
    """SHA-256 of everything but the digest, 64 hexadecimal digits."""
    content = {key: value for key, value in tree.items() if key != _DIGEST}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
