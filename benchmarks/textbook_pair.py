"""The pair that most reports are about, as people have it: a script with `fit` on arrays, a script
with a loop over a data set that nobody shuffles, both on full MNIST. How long does its diagnosis
take, how much memory, and what does it say?

python benchmarks/textbook_pair.py [--width N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.keras_cache import mnist_cache
from benchmarks.machine import describe

SCRIPTS = Path(__file__).parent / "textbook_pair"
FILES = ("keras_version.py", "tf_version.py")
# The layer that is made wider, and how wide it is.
LAYER, WIDTH = 'tf.keras.layers.Dense({}, activation="relu"),', 128
INTERVAL = 0.1


class Peak:
    """The most memory that a process and its descendants took at any time: without pages of files,
    and with all of them, in GB.
    """

    def __init__(self, process: psutil.Process) -> None:
        self.own, self.resident = 0.0, 0.0
        self._process, self._over = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no longer."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            own, resident = 0.0, 0.0
            for member in (self._process, *self._children()):
                try:
                    status = Path(f"/proc/{member.pid}/status").read_text(encoding="ascii")
                except OSError:
                    continue
                rows = (line.split() for line in status.splitlines())
                held = {row[0]: int(row[1]) / 1e6 for row in rows if row[0].startswith("Rss")}
                own += held.get("RssAnon:", 0.0) + held.get("RssShmem:", 0.0)
                resident += sum(held.values())
            self.own, self.resident = max(self.own, own), max(self.resident, resident)

    def _children(self) -> list[psutil.Process]:
        try:
            return self._process.children(recursive=True)
        except psutil.Error:
            return []


def scripts_in(folder: Path, width: int) -> None:
    """Write both scripts, with three layers of another width where one is wanted."""
    narrow = LAYER.format(WIDTH)
    wide = narrow if width == WIDTH else "\n    ".join([LAYER.format(width)] * 3)
    for name in FILES:
        text = (SCRIPTS / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace(narrow, wide), encoding="utf-8")


def ask(width: int) -> dict[str, Any]:
    """The command's answer, and what it cost."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
        environment = mnist_cache(Path(cache))
        scripts_in(Path(folder), width)
        command = [sys.executable, "-m", "pipelines.cli", "diagnose", *FILES, "--json"]
        began = time.perf_counter()
        child = psutil.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        peak = Peak(child)
        said = json.loads(child.communicate()[0])
        seconds = time.perf_counter() - began
        peak.end()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "width": width,
        "verdict": said["verdict"],
        "named": [[cause["id"], cause["side"]] for cause in said["causes"]],
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "memory_gb": round(peak.own, 2),
        "memory_with_files_gb": round(peak.resident, 2),
    }


def main() -> None:
    """Print what it says and costs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=WIDTH, help="another: three such layers")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = ask(options.width)
    for name, value in found.items():
        print(f"{name}: {value}")
    if options.json:
        kept = found | {"machine": describe()}
        options.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
