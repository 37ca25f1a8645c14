"""Which twin an exported model is."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twintrain.parsing.sealed import has_digest, was_changed
from twintrain.processes.digests import file_digest


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
    files: dict[str, str] = Field(
        {}, description="SHA-256 of each exported file; empty where an older version wrote them"
    )

    digest: str = Field(
        "", description="SHA-256 over everything else in the file; empty where none was written"
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
        files = (path for path in sorted(model.rglob("*")) if path.is_file())
        known = {str(path.relative_to(model)): path for path in files if path.name != cls.FILE}
        digests = {name: file_digest(path) for name, path in known.items()}
        return identity.model_copy(update={"files": digests})

    @classmethod
    def altered(cls, model: Path) -> bool:
        """Whether a file of an exported model is gone or another than was exported. Files that were
        added (a server's warm-up requests, say) do not count; without digests nothing is.
        """
        try:
            written = (model / cls.FILE).read_bytes()
            if was_changed(written):
                return True
        except FileNotFoundError:
            return False
        except ValueError:  # no JSON any more
            return True
        known = cls.beside(model)
        if known is None:  # of a later version, which has more to say, or without its digest
            return not has_digest(written)
        return any(
            not (model / name).is_file() or file_digest(model / name) != digest
            for name, digest in known.files.items()
        )

    def same_twin(self, other: Identity) -> bool:
        """Whether both are one twin. Its files may be others: what a file was written at is in
        them.
        """
        unlike = {"files": {}, "digest": ""}
        return self.model_copy(update=unlike) == other.model_copy(update=unlike)
