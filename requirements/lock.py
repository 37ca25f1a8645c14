"""Generates the two locked dependency sets: `make lock` (needs `uv` on the PATH).

Every line of a locked file has its version and hashes, for all Python versions the set serves, so
installing it needs neither a resolver nor the overrides below.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Name of the set, lowest Python it serves, overrides. Why there are two: requirements/README.md.
SETS = (
    ("glibc-2.28", "3.11", HERE / "overrides-glibc-2.28.txt"),
    ("glibc-2.39", "3.11", None),
)
CUDA = "tensorflow[and-cuda]==2.21.0"


def main() -> int:
    """Write all files; the exit status of the resolver when it fails."""
    for name, python, overrides in SETS:
        given = ["--overrides", str(overrides)] if overrides else []
        print(f"resolving {name} …", flush=True)
        extras = ["--extra", "pipeline", "--extra", "dev"]
        project = str(HERE.parent / "setup.py")
        status = compile_to(
            name, project, "--universal", "--python-version", python, *extras, *given
        )
        if status:
            return status
    print("resolving cuda …", flush=True)
    # The image's Python and system alone; every version as in the set it is installed on top of.
    versions = ["--constraints", str(HERE / "glibc-2.39.txt"), "--python-version", "3.13"]
    return compile_to(
        "cuda", "-", "--python-platform", "x86_64-manylinux_2_39", *versions, requirement=CUDA
    )


def compile_to(name: str, source: str, *options: str, requirement: str | None = None) -> int:
    """Resolve one source into `name`.txt; the resolver's exit status."""
    command = [
        "uv",
        "pip",
        "compile",
        source,
        "--quiet",
        "--generate-hashes",
        "--no-header",
        "--no-emit-index-url",
    ]
    command += [*options, "--output-file", str(HERE / f"{name}.txt")]
    return subprocess.run(command, input=requirement, text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
