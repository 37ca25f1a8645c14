"""Files of the user's that travel with a compiled pipeline: what states their problem or is their
loop, and the schema of their tables. Nothing of them need be in the image or on the cluster.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib
import json
import os
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from twintrain.errors import TwintrainError
from twintrain.processes.replacing import replace_text
from twintrain.processes.scratch import temporary_directory

# Linux gives a program no argument longer than 128 KiB, and KFP hands a step its parameters as one;
# Argo keeps those of every step in the workflow's status, which Kubernetes bounds. A choice well
# below these, not a limit that was measured.
MOST = 20_000  # bytes, packed
_SCHEMA = "schema.pbtxt"
_LARGEST = 2_000_000  # characters, unpacked


class Shipped(BaseModel):
    """Some text files, packed.

    Attributes:
        packed: their texts by name, as JSON, compressed by zlib, in base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    packed: str

    def texts(self) -> dict[str, str]:
        """The texts by the names of their files.

        Raises:
            TwintrainError: they are not what `ship` packs.
        """
        unpack = zlib.decompressobj()
        try:
            text = unpack.decompress(base64.b64decode(self.packed), 2 * _LARGEST)
            found: dict[str, str] = json.loads(text)
        except (ValueError, RecursionError, zlib.error) as error:
            raise TwintrainError(
                f"The files that travel with the pipeline cannot be unpacked: {error}.",
                "Compile it anew.",
            ) from error
        return found

    @property
    def has_schema(self) -> bool:
        """Whether a schema travels, or only modules do."""
        return _SCHEMA in self.texts()

    @property
    def modules(self) -> list[str]:
        """Names of the Python files."""
        return [name for name in self.texts() if name != _SCHEMA]


def ship(modules: Iterable[Path], schema: Path | None) -> Shipped | None:
    """Pack files, and with modules those beside them that they import.

    Args:
        modules: Python files.
        schema: of the user's tables; None for one that the cluster has.

    Returns:
        None where there is nothing to pack.

    Raises:
        TwintrainError: a file cannot be read, two have one name, a module imports a package that
            lies beside it, or they are too large together.
    """
    paths = _with_imported([path.resolve() for path in modules])
    files: dict[str, Path] = {}
    for path in paths:
        if files.setdefault(path.name, path) != path:
            raise TwintrainError(
                f"{files[path.name]} and {path} cannot both travel with the pipeline: they are "
                "imported by the same name.",
                "Rename one.",
            )
    files |= {_SCHEMA: schema} if schema else {}
    if not files:
        return None
    texts = {name: _read(path) for name, path in files.items()}
    packed = base64.b64encode(zlib.compress(json.dumps(texts).encode(), 9)).decode()
    if len(packed) > MOST or sum(map(len, texts.values())) > _LARGEST:
        raise TwintrainError(
            f"{', '.join(map(str, files.values()))} are too large to travel with the pipeline: "
            f"{len(packed):,} bytes once packed, {MOST:,} is the most.",
            "Leave columns out of the schema that the problem ignores, or put parts of a module "
            "into a package in the image.",
        )
    return Shipped(packed=packed)


def _with_imported(modules: list[Path]) -> list[Path]:
    """Modules, and the files beside them that they import, and so on."""
    found = list(dict.fromkeys(modules))
    for path in found:  # grows on the way
        for name in sorted(_imported(path)):
            package, module = path.with_name(name), path.with_name(f"{name}.py")
            if module.is_file() and module not in found:
                found.append(module)
            elif not module.exists() and (package / "__init__.py").is_file():
                raise TwintrainError(
                    f"{path} imports the package {package}, and only single files travel with the "
                    "pipeline.",
                    "Install the package in the image, or put what is needed into the module.",
                )
    return found


def _imported(path: Path) -> set[str]:
    """The first parts of the names of all modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(_read(path), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TwintrainError(
            f"{path} cannot be read: {error.strerror}.", "Name a file that is there."
        ) from error
    except UnicodeDecodeError as error:
        raise TwintrainError(f"{path} is no UTF-8 text: {error}.", "Save it as UTF-8.") from error


def unpack(shipped: Shipped) -> Path:
    """Put the files into a folder that is named after what they hold, and its modules on the path
    of this process and of those it starts.

    Returns:
        the folder.

    Raises:
        TwintrainError: there is no temporary directory, or the folder is somebody else's.
        OSError: they cannot be written.
    """
    name = hashlib.sha256(shipped.packed.encode()).hexdigest()[:16]
    folder = temporary_directory() / f"twintrain-shipped-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise TwintrainError(
            f"{folder} is somebody else's, and modules are imported from it.",
            "Name a directory of your own in the variable TMPDIR.",
        )
    for file, text in shipped.texts().items():
        replace_text(folder / Path(file).name, text)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        places = [str(folder), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
        importlib.invalidate_caches()
    return folder


def with_shipped_schema(shipped: Shipped, otherwise: Path) -> Path:
    """Unpack; where the schema is then.

    Args:
        shipped: what travelled.
        otherwise: the schema, if none did.
    """
    folder = unpack(shipped)
    return folder / _SCHEMA if shipped.has_schema else otherwise
