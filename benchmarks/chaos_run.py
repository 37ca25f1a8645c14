"""A small run on a root of its own, for `chaos.py`: started, killed, gone on with, and read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos_shim.marked_processes import TOKEN, end, marked

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL = (
    "data.limit=1500",
    "training.epochs=2",
    "seeds=[0,1]",
    "tuning.trials=2",
    "tuning.examples=300",
    "comparison.threshold=0.5",
)
_LONGEST = 900.0  # seconds for a run
# Of comparison.json, what is another in each run whatever it found.
_OF_THE_RUN = ("created", "digest", "versions", "push")
_OF_THE_CLOCK = ("train_seconds", "images_per_second", "peak_memory_mb")


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: its exit status; negative for a signal.
        said: what it printed.
        seconds: it took.
    """

    status: int
    said: str
    seconds: float

    @property
    def in_words(self) -> bool:
        """Whether a person was told what was wrong, not a programmer."""
        return "Traceback" not in self.said and "not foreseen" not in self.said


@dataclass(frozen=True)
class Trial:
    """One disturbance and what came of it.

    Attributes:
        kind: of disturbance, or of end; trials are counted by it.
        what: was done, and where.
        wrong: what was not as it must be; empty if all was well.
        seconds: until that was known.
        shown: whether it is printed although all was well.
    """

    kind: str
    what: str
    wrong: str = ""
    seconds: float = 0.0
    shown: bool = True

    def __str__(self) -> str:
        return f"{self.what} ({self.seconds:.0f} s)" + (f"\n    {self.wrong}" if self.wrong else "")


@dataclass
class Ground:
    """A root and all that a run on it needs.

    Attributes:
        folder: holds the root, a temporary directory, and what the run has printed.
        settings: of the recipe.
        environment: beside that of this process.
        name: of two on one root, which.
    """

    folder: Path
    settings: tuple[str, ...] = SMALL
    environment: dict[str, str] = field(default_factory=dict)
    name: str = "printed"
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.temporary.mkdir(parents=True, exist_ok=True)

    def beside(self, name: str) -> Ground:
        """Another one, empty, with the same settings, in the same folder."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder.parent))
        return Ground(folder, self.settings, self.environment)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """Start `twintrain run`; what it prints goes to a file.

        Args:
            arguments: of the command, beside the settings.
            more: of the environment; `first` is where Python looks for modules first.
        """
        chosen = [part for setting in self.settings for part in ("--set", setting)]
        return self._start(["run", "--root", str(self.root), *chosen, *arguments], more)

    def _start(self, arguments: list[str], more: dict[str, str]) -> subprocess.Popen[bytes]:
        path = [*filter(None, [more.pop("first", "")]), str(REPOSITORY)]
        own = {
            "PYTHONPATH": os.pathsep.join(path),
            "TMPDIR": str(self.temporary),
            "COLUMNS": "200",
            TOKEN: self.token,
        }
        with self._printed.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "pipelines.cli", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={**os.environ, **self.environment, **own, **more},
                start_new_session=True,
            )

    def run(self, *arguments: str, **more: str) -> Ended:
        """Run to the end."""
        started = time.monotonic()
        return self._ended(self.start(*arguments, **more), started)

    def command(self, *arguments: str) -> Ended:
        """Another of the commands, to its end."""
        started = time.monotonic()
        return self._ended(self._start(list(arguments), {}), started)

    def _ended(self, process: subprocess.Popen[bytes], started: float) -> Ended:
        try:
            process.wait(_LONGEST)
        except subprocess.TimeoutExpired:
            self.kill()
            process.wait()
        return Ended(process.returncode, self.said(), time.monotonic() - started)

    def said(self) -> str:
        return self._printed.read_text(encoding="utf-8", errors="replace")

    @property
    def _printed(self) -> Path:
        return self.folder / self.name

    def processes(self) -> list[int]:
        """Of the run, all that still live."""
        return marked(self.token)

    def kill(self) -> None:
        """End all of them at once."""
        end(self.token)

    def figures(self) -> dict[str, Any]:
        """What the report says, but for what no two runs have in common."""
        return figures(json.loads((self.root / "report" / "comparison.json").read_text()))


def figures(comparison: dict[str, Any]) -> dict[str, Any]:
    """Of a comparison.json, everything that was found; what the clock said is left out."""
    found = {name: value for name, value in comparison.items() if name not in _OF_THE_RUN}
    for twin in found["twins"].values():
        for name in _OF_THE_CLOCK:
            twin.pop(name)
        for trial in twin["trials"]:
            trial.pop("seconds", None)
    return found


def differing(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two documents differ, as paths."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted({*one, *other})
        return [
            place
            for name in names
            for place in differing(one.get(name), other.get(name), f"{path}.{name}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            place
            for number, pair in enumerate(zip(one, other, strict=True))
            for place in differing(*pair, f"{path}[{number}]")
        ]
    return [] if one == other else [f"{path}: {str(one)[:80]} / {str(other)[:80]}"]


def ground(work: Path | None, name: str) -> Ground:
    """A fresh one below a folder, or below the system's temporary directory."""
    below = work or Path(tempfile.gettempdir())
    below.mkdir(parents=True, exist_ok=True)
    return Ground(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=below)))
