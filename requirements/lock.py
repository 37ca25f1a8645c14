"""Generates the two locked dependency sets: `make lock` (needs `uv` on the PATH).

Every line of a locked file has its version and hashes, for all Python versions the set serves, so installing it needs
neither a resolver nor the overrides below.
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


def main() -> int:
    """Write both files; the exit status of the resolver when it fails."""
    for name, python, overrides in SETS:
        command = ["uv", "pip", "compile", str(HERE.parent / "setup.py"), "--quiet", "--universal", "--generate-hashes"]
        command += [
            "--extra",
            "pipeline",
            "--extra",
            "dev",
            "--python-version",
            python,
            "--no-header",
            "--no-emit-index-url",
        ]
        command += ["--overrides", str(overrides)] if overrides else []
        print(f"resolving {name} …", flush=True)
        result = subprocess.run([*command, "--output-file", str(HERE / f"{name}.txt")], check=False)
        if result.returncode:
            return result.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
