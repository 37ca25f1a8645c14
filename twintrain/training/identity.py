"""Which twin an exported model is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twintrain.processes.digests import folder_digest


class Identity(BaseModel):
    """Which twin an exported model is; `twin.json` beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    FILE: ClassVar[str] = "twin.json"

    twin: str
    seed: int
    recipe_hash: str = Field(
        description="of the twin's own recipe as it was asked for, without what decides no training"
    )
    trained_on: str = Field(description="SHA-256 of the training examples")
    weights: str = Field(description="SHA-256 over all weights in the model's order")
    code: str = Field(description="SHA-256 of the code that trained and exported it")
    files: str = Field(
        "", description="SHA-256 over the exported files; empty where an older version wrote them"
    )

    @classmethod
    def beside(cls, model: Path) -> Identity | None:
        """Of an exported model; None where none is written, or none that can be read."""
        try:
            return cls.model_validate_json((model / cls.FILE).read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None

    @classmethod
    def with_files(cls, identity: Identity, model: Path) -> Identity:
        """The identity of a model whose files are all there."""
        return identity.model_copy(update={"files": folder_digest(model, (cls.FILE,))})

    @classmethod
    def altered(cls, model: Path) -> bool:
        """Whether an exported model's files are others than were exported; one without a digest
        is not.
        """
        known = cls.beside(model)
        if known is None or not known.files:
            return False
        return known.files != folder_digest(model, (cls.FILE,))
