"""What a run wants of whoever shows its progress."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol


class View(Protocol):
    """Shows a run's progress; a context manager around the run."""

    def take(self, event: dict[str, Any]) -> None:
        """One event as `twintrain.processes.progress.report_progress` wrote it."""

    def tick(self) -> None:
        """Called a few times per second."""

    def __enter__(self) -> View: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
