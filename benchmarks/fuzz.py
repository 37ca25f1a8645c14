"""Inputs that are nearly right, thousands per reader: is each taken or refused in a sentence?

python benchmarks/fuzz.py [--inputs 2000] [--seed 0] [--reader NAME] [--keep DIR] [--json FILE]

A reader may take an input or raise `TwintrainError`. What it must not do is raise anything else,
take more than ten seconds of the processor or a gigabyte, or say more than a terminal shows. What
it takes is used as the product uses it: a comparison and records are drawn as pages. Every reader
has a process of its own. With --keep, inputs that brought out something else are kept."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.fuzz_readers import Reader, readers  # noqa: E402
from benchmarks.machine import describe  # noqa: E402
from twintrain.errors import MOST_CHARACTERS, TwintrainError  # noqa: E402

SECONDS, MEGABYTES = 10, 1000
_WAITING = 300  # seconds by the clock
LONGEST_MESSAGE = 2 * MOST_CHARACTERS + 1  # problem and remedy
HEADINGS = ("reader", "inputs", "taken", "refused", "raw", "> 10 s", "slowest s", "message", "MB")
WIDTHS = (12, 8, 8, 9, 6, 8, 11, 9, 7)


@dataclass
class Tally:
    """What became of the inputs of one reader.

    Attributes:
        reader: its name.
        inputs: read.
        taken: of them, without complaint.
        refused: with a `TwintrainError`.
        raw: how often which other exception came out, by kind and place.
        slow: how many took more than ten seconds and were broken off.
        slowest_seconds: of one input.
        longest_message: characters of a `TwintrainError`.
        megabytes: by which the process grew.
    """

    reader: str
    inputs: int = 0
    taken: int = 0
    refused: int = 0
    raw: dict[str, int] = field(default_factory=dict)
    slow: int = 0
    slowest_seconds: float = 0.0
    longest_message: int = 0
    megabytes: float = 0.0

    @property
    def well(self) -> bool:
        """Whether all went as it must."""
        quiet = self.longest_message <= LONGEST_MESSAGE and self.megabytes <= MEGABYTES
        return quiet and not self.raw and not self.slow


class _TookTooLong(BaseException):
    """Not an Exception: no reader may catch it."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=2000, help="per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", choices=sorted(readers()), action="append")
    parser.add_argument("--keep", type=Path, help="a folder for inputs that brought out more")
    parser.add_argument("--json", type=Path, help="write what was found here")
    asked = parser.parse_args()
    tallies = []
    print("".join(f"{text:>{width}}" for text, width in zip(HEADINGS, WIDTHS, strict=True)))
    for name in asked.reader or readers():
        # A process each: what one took of memory is not the next one's.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            tally = pool.apply(examine, (name, asked.inputs, asked.seed, asked.keep))
        tallies.append(tally)
        print(_row(tally), flush=True)
    if asked.json:
        found = {"machine": describe(), "readers": [asdict(tally) for tally in tallies]}
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(not all(tally.well for tally in tallies))


def _row(tally: Tally) -> str:
    shown = (
        tally.reader,
        f"{tally.inputs:,}",
        f"{tally.taken:,}",
        f"{tally.refused:,}",
        str(sum(tally.raw.values())),
        str(tally.slow),
        f"{tally.slowest_seconds:.2f}",
        f"{tally.longest_message:,}",
        f"{tally.megabytes:.0f}",
    )
    row = "".join(f"{text:>{width}}" for text, width in zip(shown, WIDTHS, strict=True))
    return "\n".join([row, *(f"    {times} x {kind}" for kind, times in tally.raw.items())])


def examine(name: str, inputs: int, seed: int, keep: Path | None) -> Tally:
    """Make and read that many inputs of one reader, in this process."""
    reader, tally, raw = readers()[name], Tally(name), Counter[str]()
    signal.signal(signal.SIGPROF, _too_long)
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.file
        path.write_bytes(reader.right())
        reader.read(path)  # must be taken; what it imports is not counted
        before = _largest_size()
        for number in range(inputs):
            content = reader.make(Random(f"{seed} {number}"))
            path.write_bytes(content)
            problem = _read_once(reader, path, tally)
            if problem and keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name}-{number}{path.suffix}").write_bytes(content)
            raw.update([problem] if problem else [])
    tally.inputs, tally.raw, tally.megabytes = inputs, dict(raw), _largest_size() - before
    return tally


def _read_once(reader: Reader, path: Path, tally: Tally) -> str:
    """Read one input and count what became of it; what came out raw, if anything."""
    started, problem = time.process_time(), ""
    # Of the processor: the machine may have other work. By the clock, for what waits for ever.
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(_WAITING)
    try:
        reader.read(path)
        tally.taken += 1
    except TwintrainError as error:
        tally.refused += 1
        tally.longest_message = max(tally.longest_message, len(str(error)))
    except _TookTooLong:
        tally.slow += 1
        problem = "took too long"
    except Exception as error:
        problem = f"{type(error).__name__} in {_place(error)}: {str(error)[:80]!r}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    tally.slowest_seconds = max(tally.slowest_seconds, time.process_time() - started)
    return problem


def _place(error: Exception) -> str:
    """The line of ours that it came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if str(REPOSITORY / "benchmarks") not in frame.filename]
    ours = [frame for frame in ours if frame.filename.startswith(str(REPOSITORY))]
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"


def _largest_size() -> float:
    """Megabytes this process has held at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _too_long(*_: object) -> None:
    raise _TookTooLong


if __name__ == "__main__":
    sys.exit(main())
