"""Which twin an exported model is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError


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

    @classmethod
    def beside(cls, model: Path) -> Identity | None:
        """Of an exported model; None where none is written, or none that can be read."""
        try:
            return cls.model_validate_json((model / cls.FILE).read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None
