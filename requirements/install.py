"""Sets up `.venv` with everything Twintrain needs: `python3 requirements/install.py`.

Needs nothing but the standard library. Picks the locked set by the host's C library, says which,
checks beforehand what could go wrong later, and does nothing when the environment already matches.
An interrupted set-up is started afresh; a finished one is never half replaced.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
VENV = PROJECT / ".venv"
STAMP = VENV / "twintrain-environment"
NEEDED_GB = 6
CUDA_GB = 5  # more, with NVIDIA's libraries
CUDA = HERE / "cuda.txt"
UV = "uv==0.13.9"
_WITH_CUDA = " cuda "
PYTHON = VENV / "bin" / "python"
UV_INSTALL = (PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, "--no-deps")
# Locked set -> lowest C library and the Python versions for which all its wheels exist.
SETS = {
    "glibc-2.39": ((2, 39), ((3, 11), (3, 13))),
    "glibc-2.28": ((2, 28), ((3, 11), (3, 11))),
}


def main() -> int:
    """Set up the environment; 0 when it is ready, 1 with a message when it cannot be."""
    parser = argparse.ArgumentParser(
        description="Set up .venv with everything Twintrain needs, at locked versions."
    )
    parser.add_argument(
        "--dependencies-only", action="store_true", help="without this project itself (for images)"
    )
    parser.add_argument("--cuda", action="store_true", help="with NVIDIA's libraries, for GPUs")
    asked = parser.parse_args()
    problem = check_platform()
    if problem:
        return fail(*problem)
    name, remedy = choose_set(glibc(), sys.version_info[:2])
    if name is None:
        return fail(*remedy)
    made = STAMP.read_text() if STAMP.is_file() else ""
    cuda = asked.cuda or _WITH_CUDA in made  # once asked for, they stay
    stamp = fingerprint(name, project=not asked.dependencies_only)
    whole = (
        stamp + _WITH_CUDA + hashlib.sha256(CUDA.read_bytes()).hexdigest()[:16] if cuda else stamp
    )
    if made == whole:
        return 0
    anew = made.partition(_WITH_CUDA)[0] != stamp
    problem = check_host(NEEDED_GB * anew + CUDA_GB * cuda)
    if problem:
        return fail(*problem)
    libc = ".".join(map(str, glibc()))
    print(
        f"Setting up .venv: Python {platform.python_version()}, C library {libc}, locked set "
        f"{name}",
        flush=True,
    )
    started = time.monotonic()
    try:
        if anew:
            build(HERE / f"{name}.txt", project=not asked.dependencies_only)
        if cuda:
            add(CUDA)
    except subprocess.CalledProcessError as error:
        return fail(
            f"This step failed: {' '.join(map(str, error.cmd))}", "Its output above says why."
        )
    STAMP.write_text(whole)
    if shutil.which("nvidia-smi") and not cuda:
        print(
            "An NVIDIA GPU seems to be here. For TensorFlow to use it: make install CUDA=1 "
            f"({CUDA_GB} GB more)"
        )
    print(f"Ready after {time.monotonic() - started:.0f} s: .venv/bin/twintrain", flush=True)
    return 0


def glibc() -> tuple[int, ...]:
    """Version of the host's C library; () when it is not glibc."""
    name, version = platform.libc_ver()
    return tuple(int(part) for part in version.split(".")) if name == "glibc" else ()


def choose_set(
    libc: tuple[int, ...], python: tuple[int, int]
) -> tuple[str | None, tuple[str, str]]:
    """The locked set for a C library and a Python version, or why there is none and what to do."""
    for name, (lowest, (first, last)) in SETS.items():
        if libc >= lowest:
            if first <= python <= last:
                return name, ("", "")
            served = f"{first[0]}.{first[1]}" + (
                f" to {last[0]}.{last[1]}" if last != first else ""
            )
            found = ".".join(map(str, libc))
            return None, (
                f"Python {python[0]}.{python[1]} does not fit: with C library {found}, TFX's "
                f"wheels need Python {served}.",
                f"Run it with another interpreter: make PYTHON=python{first[0]}.{first[1]} install",
            )
    return None, (
        f"The C library is too old ({'.'.join(map(str, libc))}): TensorFlow's wheels need glibc "
        "2.28 or newer.",
        "Use Debian 10, Ubuntu 18.10, RHEL 8 or newer, or a container of one.",
    )


def check_platform() -> tuple[str, str] | None:
    """What rules this machine out altogether."""
    if platform.system() != "Linux" or not glibc():
        return (
            f"The pipeline runs on Linux with glibc; this is {platform.system()}.",
            "Use a Linux machine or container. The library alone (pip install twintrain) runs "
            "wherever TensorFlow does.",
        )
    if platform.machine() != "x86_64":
        return (
            f"TFX has wheels for x86-64 only; this is {platform.machine()}.",
            "Use an x86-64 machine or container.",
        )
    return None


def check_host(needed_gb: float = NEEDED_GB) -> tuple[str, str] | None:
    """What would make the set-up fail half-way."""
    free = shutil.disk_usage(PROJECT).free / 1e9
    if free < needed_gb:
        return (
            f"Only {free:.1f} GB are free on the disk of {PROJECT}, about {needed_gb} are needed.",
            "Make room.",
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "Python's venv module is missing.",
            "On Debian and Ubuntu: apt install python3-venv",
        )
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        return (
            "No C++ compiler: pyfarmhash, which TFX needs, has no wheel.",
            "On Debian and Ubuntu: apt install g++",
        )
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.is_file():
        return (
            f"Python's headers are missing ({header}).",
            "On Debian and Ubuntu: apt install python3-dev",
        )
    return None


def fingerprint(name: str, project: bool = True) -> str:
    """What a finished environment is stamped with; another stamp means it must be made again."""
    sha = hashlib.sha256()
    for path in (
        HERE / f"{name}.txt",
        Path(__file__),
        *([PROJECT / "setup.py"] if project else []),
    ):
        sha.update(path.read_bytes())
    return f"{name} {platform.python_version()} {sha.hexdigest()}"


def build(locked: Path, project: bool) -> None:
    """Make the environment from nothing."""
    shutil.rmtree(VENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", str(VENV))
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    add(locked)
    if project:
        run(*UV_INSTALL, "--quiet", "--editable", PROJECT)


def add(locked: Path) -> None:
    """Install a locked set into the environment."""
    # Half-way an environment has no stamp. Byte code is made now: with it TFX is imported in a
    # third of the time, in each of a run's many processes.
    STAMP.unlink(missing_ok=True)
    run(*UV_INSTALL, "--require-hashes", "--compile-bytecode", "-r", locked)


def run(*command: str | Path) -> None:
    """Run a step with its output shown."""
    subprocess.run(
        [str(part) for part in command], check=True, env={**os.environ, "VIRTUAL_ENV": str(VENV)}
    )


def fail(problem: str, remedy: str) -> int:
    """Say what is wrong and what to do."""
    print(f"Error: {problem}\n{remedy}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
