"""Ten retrainings over ten spans, two of them planted: does the trend flag exactly those two?

python benchmarks/trend.py --work DIR [--json FILE] [--html FILE]

MNIST is cut by the order of its files into ten spans of 6,000 training and 1,000 test images. Span
6 lost two thirds of its zeros; in span 8 the loop was given a tenth of the learning rate. The
schema allows a label's share to move by 5 points instead of 3: among 1,000 images the shares differ
by up to 3 from those of the training images as they are. Every span is dropped half written first
and completed then, and `twintrain run --span latest` is called as a timer would: on the
half-written span, on the complete one, and once more. The run of span 3 is killed in the middle
(SIGKILL to everything) and called again. Called again itself, the benchmark goes on after the last
span that has a record."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from twintrain.data import idx
from twintrain.trend.monitor import judge
from twintrain.trend.page import render_trend
from twintrain.trend.record_store import RecordStore

REPOSITORY = Path(__file__).resolve().parent.parent
SPANS, DRIFTED, BAD_LOOP, KILLED = 10, 6, 8, 3
SIZES = {"train": 6000, "eval": 1000}
SETTINGS = [
    "seeds=[0,1]",
    "training.epochs=2",
    "tuning.trials=2",
    "tuning.examples=500",
    "training.batch_size=32",
]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="everything goes below it")
    parser.add_argument("--json", type=Path, help="write what was found here")
    parser.add_argument("--html", type=Path, help="write the page here")
    asked = parser.parse_args()
    data, root = asked.work / "data", asked.work / "root"
    kept = asked.work / "seconds.json"
    seconds: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
    write_schema(asked.work)
    done = [record.span for record in RecordStore(str(root / "records")).all()]
    for span in range(1 + max(done, default=0), SPANS + 1):
        folder = data / f"span-{span}"
        write_span(folder, span)
        (folder / "t10k-labels-idx1-ubyte.gz").rename(folder / ".late")
        if span > 1:
            expect(
                retrain(data, root, span), "Nothing to do", span
            )  # half written: the one before is the newest
        (folder / ".late").rename(folder / "t10k-labels-idx1-ubyte.gz")
        started = time.monotonic()
        if span == KILLED:
            kill_in_the_middle(data, root, span)
        expect(retrain(data, root, span), "records", span)
        seconds[str(span)] = round(time.monotonic() - started)
        kept.write_text(json.dumps(seconds))
        expect(retrain(data, root, span), "Nothing to do", span)
        print(f"span {span}: {seconds[str(span)]} s", flush=True)
    (trend,) = judge(RecordStore(str(root / "records")).all())
    flagged = {
        look.record.span: [f"{a.kind}: {a.text}" for a in look.alerts]
        for look in trend.looks
        if look.alerts
    }
    found = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
        "records": len(trend.looks),
        "flagged": flagged,
        "gaps": {look.record.span: round(look.record.overall.gap, 2) for look in trend.looks},
        "seconds": seconds,
    }
    print(json.dumps(found, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if asked.html:
        asked.html.write_text(render_trend([trend]), encoding="utf-8")
    return 0 if set(flagged) == {DRIFTED, BAD_LOOP} and len(trend.looks) == SPANS else 1


def write_schema(work: Path) -> None:
    """The curated schema with a drift threshold for small splits."""
    text = (REPOSITORY / "data" / "schema.pbtxt").read_text(encoding="utf-8")
    assert "threshold: 0.03" in text
    work.mkdir(parents=True, exist_ok=True)
    (work / "schema.pbtxt").write_text(
        text.replace("threshold: 0.03", "threshold: 0.05"), encoding="utf-8"
    )


def write_span(folder: Path, span: int) -> None:
    """One tenth of MNIST as a span of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in SIZES.items():
        pair = idx.find_pair(REPOSITORY / "data", split)
        labels = np.frombuffer(idx.read_labels(pair.labels).tobytes(), np.uint8)[
            (span - 1) * size : span * size
        ]
        images = np.frombuffer(
            b"".join(idx.read_images(pair.images, (span - 1) * size, span * size)), np.uint8
        )
        images = images.reshape(size, 28, 28)
        if span == DRIFTED:
            kept = (labels != 0) | (np.cumsum(labels == 0) % 3 == 0)
            labels, images = labels[kept], images[kept]
        for kind, values, magic in (("images-idx3", images, 2051), ("labels-idx1", labels, 2049)):
            header = np.array([magic, *values.shape], ">u4").tobytes()
            name = f"{idx.SPLIT_PREFIXES[split]}-{kind}-ubyte.gz"
            (folder / name).write_bytes(gzip.compress(header + values.tobytes(), mtime=0))


def command(data: Path, root: Path, span: int) -> list[str]:
    settings = [*SETTINGS, *(["loop.optimizer.learning_rate=0.0001"] if span == BAD_LOOP else [])]
    options = [part for setting in settings for part in ("--set", setting)]
    chosen = [
        "--data",
        str(data),
        "--root",
        str(root),
        "--schema",
        str(data.parent / "schema.pbtxt"),
    ]
    chosen += ["--span", "latest"]
    return [sys.executable, "-m", "pipelines.cli.main", "run", *chosen, *options]


def retrain(data: Path, root: Path, span: int) -> str:
    # The half-written span's call must look for the recipe of the span before.
    whole = (data / f"span-{span}" / "t10k-labels-idx1-ubyte.gz").exists()
    call = command(data, root, span if whole else span - 1)
    done = subprocess.run(call, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(call)}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    names = (
        sorted(path.name for path in (root / "records").glob("*.json"))
        if (root / "records").exists()
        else []
    )
    return f"{done.stdout}\nrecords {names}"


def kill_in_the_middle(data: Path, root: Path, span: int) -> None:
    """Start the run and end it as a power cut would, once a twin is being trained."""
    with subprocess.Popen(
        command(data, root, span),
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if "Trainer-fit: 1/" in line:
                break
        for number in descendants(child.pid):
            os.kill(number, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """A process and all that it started."""
    table = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    children: dict[int, list[int]] = {}
    for row in table.splitlines():
        number, parent = map(int, row.split())
        children.setdefault(parent, []).append(number)
    found = [process]
    for number in found:
        found += children.get(number, [])
    return found


def expect(output: str, text: str, span: int) -> None:
    if text not in output:
        sys.exit(f"span {span}: expected {text!r} in\n{output}")


if __name__ == "__main__":
    if shutil.which("ps") is None:
        sys.exit("This benchmark needs `ps` (package procps).")
    sys.exit(main())
