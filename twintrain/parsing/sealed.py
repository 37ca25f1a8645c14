"""Digests that stand in the very document they are of."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel

DIGEST = "digest"  # the field that holds it


def digest_of(document: BaseModel) -> str:
    """SHA-256 of a document's JSON, its field `digest` left out; 64 hexadecimal digits."""
    text = document.model_dump_json(exclude={DIGEST})
    return hashlib.sha256(text.encode()).hexdigest()
