"""The machine a benchmark ran on, in words."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata


def describe() -> dict[str, str | int]:
    """Processor, cores, memory, system and the versions that matter."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next(
            (line.split(":", 1)[1].strip() for line in file if line.startswith("model name")),
            "unknown",
        )
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(),
        "python": platform.python_version(),
        "tensorflow": metadata.version("tensorflow"),
        "keras": metadata.version("keras"),
        "gpu": _gpus(),
    }


def _gpus() -> str:
    if shutil.which("nvidia-smi") is None:
        return "none"
    ask = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    found = subprocess.run(ask, capture_output=True, text=True, check=False)
    return "none" if hidden or found.returncode else "; ".join(found.stdout.splitlines())
