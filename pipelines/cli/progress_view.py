"""What a person sees while a run goes on: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipelines.local.view import View
from pipelines.nodes import caption


@dataclass
class _Node:
    name: str
    state: str = "waiting"  # waiting, running, done, cached, failed
    started: float = 0.0
    seconds: float = 0.0
    text: str = ""

    @property
    def clock(self) -> str:
        """How long it has taken so far, for a person."""
        if self.state == "waiting":
            return ""
        if self.state == "cached":
            return "cached"
        seconds = time.time() - self.started if self.state == "running" else self.seconds
        return f"{seconds:.0f} s"


class LiveView:
    """A table of all nodes, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._nodes: dict[str, _Node] = {}
        self._begun = time.time()
        self._live = Live(console=console, refresh_per_second=5, get_renderable=self._draw)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def take(self, event: dict[str, Any]) -> None:
        """See `View.take`."""
        match event["event"]:
            case "plan":
                self._nodes = {name: _Node(name) for name in event["nodes"]}
            case "node_started":
                node = self._nodes[event["node"]]
                node.state, node.started = "running", event["time"]
            case "node_finished":
                node = self._nodes[event["node"]]
                node.state = "cached" if event["cached"] else "done"
                node.seconds = event["seconds"]
            case "progress" if event["node"] in self._nodes:
                node = self._nodes[event["node"]]
                node.text = f"{event['done']}/{event['total']}  {event['text']}"
            case "note":
                self._live.console.print(event["text"], markup=False, style="yellow")
            case "failed":
                for node in self._nodes.values():
                    if node.state == "running":
                        node.state, node.seconds = "failed", event["time"] - node.started

    def tick(self) -> None:
        """See `View.tick`; the table redraws itself."""

    def _draw(self) -> Group:
        if not self._nodes:
            return Group(Text(f"Starting TFX … {time.time() - self._begun:.0f} s", style="dim"))
        table = Table(box=None, padding=(0, 1), show_header=False)
        styles = {
            "waiting": "dim",
            "running": "bold cyan",
            "done": "green",
            "cached": "blue",
            "failed": "bold red",
        }
        marks = {"waiting": "·", "running": "▸", "done": "✓", "cached": "=", "failed": "✗"}
        for node in self._nodes.values():
            table.add_row(
                Text(marks[node.state], styles[node.state]),
                Text(node.name, styles[node.state]),
                Text(caption(node.name), "dim"),
                Text(node.clock, justify="right"),
                Text(node.text, "dim", overflow="ellipsis", no_wrap=True),
            )
        return Group(table, Text(f"{time.time() - self._begun:.0f} s in all", style="dim"))


class PlainView:
    """A line whenever something happens, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = time.time()

    def __enter__(self) -> PlainView:
        self._line("starting TFX")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def take(self, event: dict[str, Any]) -> None:
        """See `View.take`."""
        match event["event"]:
            case "node_started":
                self._line(f"{event['node']}: {caption(event['node']) or 'started'}")
            case "node_finished":
                how = (
                    "taken from an earlier run"
                    if event["cached"]
                    else f"done in {event['seconds']:.1f} s"
                )
                self._line(f"{event['node']}: {how}")
            case "progress":
                self._line(f"{event['node']}: {event['done']}/{event['total']}, {event['text']}")
            case "note":
                self._line(event["text"])
            case "failed":
                self._line("failed")

    def tick(self) -> None:
        """See `View.tick`; nothing to do between events."""

    def _line(self, text: str) -> None:
        self._console.print(
            f"[{time.time() - self._begun:6.1f} s] {text}", markup=False, highlight=False
        )


def view_for(console: Console) -> View:
    """A live table for a terminal, plain lines for anything else."""
    return LiveView(console) if console.is_terminal else PlainView(console)
