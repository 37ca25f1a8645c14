"""Processes that do one node's work together: on this machine, or each in a step (a pod) of its
own.

Member 0 leads: what it leaves is the node's result. Members find each other through a folder all of
them can reach, and count one another as there only while they answer, so that a file left by a pod
that is gone misleads nobody.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.connection
import os
import socket
import socketserver
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from twintrain.errors import TwintrainError
from twintrain.processes import progress
from twintrain.processes.endings import OutOfMemoryCount
from twintrain.processes.isolated import gpus_as_before
from twintrain.processes.replacing import replace_text
from twintrain.processes.scratch import scratch
from twintrain.processes.spawned import end, killed, start

VARIABLE = "TWINTRAIN_WORKER_GROUP"
# How a machine is used, and nothing that decides a result.
SEEDS_AT_A_TIME = "TWINTRAIN_SEEDS_AT_A_TIME"
_POLL, _ANSWER = 0.5, 3.0  # seconds
_OVER = "over"


@dataclass(frozen=True)
class WorkerGroup:
    """One process's place in its group.

    Attributes:
        member: from 0, which leads.
        size: how many there are.
        meeting: folder they share.
        host: this machine's address as its peers see it; None to find out.
    """

    member: int
    size: int
    meeting: Path
    host: str | None = None

    @staticmethod
    def of_this_process() -> WorkerGroup | None:
        """The group this process was made a member of; None when it works alone."""
        told = os.environ.get(VARIABLE)
        if told is None:
            return None
        place = json.loads(told)
        return WorkerGroup(**place | {"meeting": Path(place["meeting"])})

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process this member."""
        return {VARIABLE: json.dumps(asdict(self) | {"meeting": str(self.meeting)})}

    def meet(self, minutes: float) -> list[str]:
        """Wait until every member is there.

        Returns:
            by member, host:port where it can listen.

        Raises:
            TwintrainError: somebody did not come in time.
        """
        _, callers = self.announce(self.free_port())
        everybody = set(range(self.size))
        found: dict[int, dict[str, str]] = {}
        deadline = time.monotonic() + 60 * minutes
        while True:
            # Read before the entries: whoever called has written its entry before.
            found_by = set(callers) | {self.member}
            # A member that was started anew meanwhile counts as absent until it has been found
            # anew.
            found = {
                member: entry for member, entry in found.items() if self._entry(member) == entry
            }
            for member in everybody - set(found):
                entry = self._entry(member)
                if entry is not None and self._answers(entry):
                    found[member] = entry
            # Both ways: once a member goes on it may not answer any more.
            if set(found) == found_by == everybody:
                return [found[member]["address"] for member in sorted(found)]
            if time.monotonic() > deadline:
                absent = ", ".join(map(str, sorted(everybody - (set(found) & found_by))))
                raise TwintrainError(
                    f"Of {self.size} workers, number {absent} did not come within {minutes:g} "
                    "minutes.",
                    "See whether their steps run (no GPU free? an earlier failure?) and whether "
                    f"pods may reach each other; they meet in {self.meeting}, which all of them "
                    "must share.",
                )
            time.sleep(_POLL)

    def announce(self, port: int) -> tuple[str, set[int]]:
        """Let the others know where this member listens; holds for as long as this process lives.

        Returns:
            host:port as they see it, and a set that grows with every member that has found this
            one.
        """
        host = self.host or _own_address()
        token = uuid.uuid4().hex
        callers: set[int] = set()
        presence = _answer_with(token, self.host or "", callers)
        entry = {"address": f"{host}:{port}", "presence": f"{host}:{presence}", "token": token}
        self.meeting.mkdir(parents=True, exist_ok=True)
        replace_text(self._file(self.member), json.dumps(entry))
        return entry["address"], callers

    def free_port(self) -> int:
        """A port nobody listens at just now."""
        with socket.socket() as probe:
            probe.bind((self.host or "", 0))
            return int(probe.getsockname()[1])

    def address_of(self, member: int) -> str | None:
        """Where a member can be reached; None while it is not there."""
        entry = self._entry(member)
        return entry["address"] if entry is not None and self._answers(entry) else None

    def _entry(self, member: int) -> dict[str, str] | None:
        try:
            entry: dict[str, str] = json.loads(self._file(member).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return entry

    def _answers(self, entry: dict[str, str]) -> bool:
        host, port = entry["presence"].rsplit(":", 1)
        try:
            with socket.create_connection((host, int(port)), _ANSWER) as line:
                line.settimeout(_ANSWER)
                line.sendall(f"{self.member}\n".encode())
                return line.recv(64).decode() == entry["token"]
        except (OSError, ValueError):
            return False

    @property
    def over(self) -> bool:
        """Whether the leader has said that nothing is left to do."""
        return (self.meeting / _OVER).exists()

    def end(self) -> None:
        """Say so, also to members that come later."""
        self.meeting.mkdir(parents=True, exist_ok=True)
        (self.meeting / _OVER).touch()

    def _file(self, member: int) -> Path:
        return self.meeting / f"member-{member}.json"


def share_of_gpus(member: int, size: int) -> dict[str, str]:
    """Environment that shows a member its share of this machine's GPUs; empty if there are none."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        # As CUDA numbers the devices this container was given, whatever their numbers on the host.
        gpus = [str(place) for place in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    else:
        gpus = [name for name in listed.split(",") if name and name != "-1"]
    share = gpus[member::size] or gpus[member % max(1, len(gpus)) :][:1]
    return {"CUDA_VISIBLE_DEVICES": ",".join(share)} if share else {}


def run_as_group(function: Callable[..., None], arguments: tuple[object, ...], size: int) -> None:
    """Call `function(*arguments)` in `size` processes of this machine that are one group, and see
    all of them end well.

    Raises:
        TwintrainError: one was killed; the others are ended.
        Exception: what the function raised in one of them.
    """
    before = OutOfMemoryCount.now()
    with scratch("group") as meeting, gpus_as_before():
        ends, processes = [], []
        for member in range(size):
            receiver, sender = multiprocessing.Pipe(duplex=False)
            group = WorkerGroup(member, size, meeting, host="127.0.0.1")
            place = group.environment | share_of_gpus(member, size)
            processes.append(start(_member, sender, function, arguments, environment=place))
            sender.close()
            ends.append(receiver)
        try:
            left = dict(zip([process.sentinel for process in processes], range(size), strict=True))
            while left:
                for ended in multiprocessing.connection.wait(list(left)):
                    member = left.pop(ended)  # type: ignore[arg-type]
                    processes[member].join()
                    if processes[member].exitcode:
                        raise _failure(ends[member], processes[member].exitcode, before)
        finally:
            end(processes)


def _member(
    answer: Connection, function: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    if WorkerGroup.of_this_process().member:  # type: ignore[union-attr]
        os.environ.pop(progress.VARIABLE, None)  # one voice is enough
    try:
        function(*arguments)
    except Exception as error:
        answer.send(error)
        raise SystemExit(1) from None


def _failure(answer: Connection, status: int | None, before: OutOfMemoryCount) -> Exception:
    try:
        error: Exception = answer.recv()
    except EOFError:
        return killed(status, before, "Finished epochs are kept.")
    return error


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the system which way it would go
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _answer_with(token: str, host: str, callers: set[int]) -> int:
    """Answer every caller with the token, until this process ends; the port."""

    class Answer(socketserver.StreamRequestHandler):
        timeout = _ANSWER

        def handle(self) -> None:
            caller = int(self.rfile.readline(20))
            self.wfile.write(token.encode())
            callers.add(caller)

    server = _Quiet((host, 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


class _Quiet(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever calls without being a member gets no answer, and no line in the log."""
