"""Is the diagnosis right on scripts and notebooks that nobody here wrote? Runs each piece of
`benchmarks/scripts` (`scripts_2` to `scripts_7`) through the command, unchanged and from inside its
folder, and holds what it says against what its author says.

python benchmarks/strangers.py [--set 1|2|3|4|5|7] [--only NN ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.keras_cache import mnist_cache

HERE = Path(__file__).parent
FOLDERS = {"1": HERE / "scripts"} | {
    n: HERE / f"scripts_{n}" for n in ("2", "3", "4", "5", "6", "7")
}


def ask(piece: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The command's answer for one piece."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / piece.name
        shutil.copytree(piece, copy)
        command = [sys.executable, "-m", "pipelines.cli", "diagnose", *wanted["files"]]
        command += [
            "--json",
            *(["--", *map(str, wanted["arguments"])] if wanted["arguments"] else []),
        ]
        environment = mnist_cache(Path(folder) / "keras")
        started = time.perf_counter()
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=900
        )
        said = json.loads(done.stdout)
    return {
        "name": piece.name,
        "verdict": said["verdict"],
        "named": [[cause["id"], cause["side"]] for cause in said.get("causes", [])],
        "lines": [p["line"] for c in said.get("causes", []) for p in c["places"][:1]],
        "told": said.get("error") or said.get("unexplained"),
        "open": [look["said"] for look in said.get("coverage", []) if look["open"]],
        "seconds": round(time.perf_counter() - started, 1),
    }


def outcome(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    """'right', 'other side' (the right causes, told of the other side: the code often does not say
    which of two is as it should be), 'in part', 'unknown', 'wrong name', 'false identical',
    'accused' or 'failed'.
    """
    named = [id_ for id_, _ in found["named"]]
    if found["told"] and found["verdict"] == "unknown" and not named and "open" not in found:
        return "failed"
    if wanted["correct"]:
        return {"identical": "right", "causes_found": "accused"}.get(found["verdict"], "unknown")
    if found["verdict"] == "identical":
        return "false identical"
    if not named:
        return "unknown"
    fair = {*wanted["ids"], *wanted["also_fair"]}
    sides = {side for _, side in found["named"]}
    if not set(named) <= fair:
        return "wrong name"
    if not set(wanted["ids"]) <= set(named):
        return "in part"
    return "right" if sides == {wanted["side"]} else "other side"


def main() -> None:
    """Print a line for each piece, and how many came out how."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=FOLDERS, default="1", help="which of the sets")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = FOLDERS[options.set]
    known = yaml.safe_load((folder / "expected.yaml").read_text(encoding="utf-8"))
    results = []
    for name, wanted in known.items():
        if options.only and not any(name.startswith(only) for only in options.only):
            continue
        found = ask(folder / name, wanted)
        found["outcome"] = outcome(wanted, found)
        results.append(found)
        print(
            f"{name}: {found['outcome']} {found['verdict']} {found['named']} {found['seconds']} s",
            flush=True,
        )
        if found["outcome"] != "right":
            print(f"    {found['told']} {found['open']}", flush=True)
    outcomes = [found["outcome"] for found in results]
    print({kind: outcomes.count(kind) for kind in sorted(set(outcomes))})
    print(f"median {sorted(found['seconds'] for found in results)[len(results) // 2]:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
