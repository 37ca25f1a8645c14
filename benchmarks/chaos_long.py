"""Many runs on one root, for `chaos.py`: do its size, a run's time and its memory stay?"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.chaos_run import Ended, Ground, Trial, differing

_EVERY = 10  # of the runs, one trains: with a learning rate of its own
_MOST = 1.25  # by which the last runs may take longer than the first


def runs(undisturbed: Ground, expected: dict[str, Any], most: int, seed: int) -> Iterator[Trial]:
    """Run after run: most take everything over, every tenth trains anew. `twintrain clean` keeps
    the newest three.
    """
    chance, ground = Random(seed), undisturbed.beside("long")
    taken: list[float] = []
    sizes: list[int] = []
    for number in range(most):
        anew = number % _EVERY == _EVERY - 1
        rate = f"training.optimizer.learning_rate={chance.uniform(1e-4, 1e-2):.6f}"
        ended = ground.run(*(("--set", rate) if anew else ()))
        wrong = _wrong(ended)
        if not anew:
            wrong = wrong or "; ".join(differing(expected, ground.figures())[:5])
            taken += [ended.seconds] if number else []
        else:
            kept = ground.command("clean", "--root", str(ground.root), "--keep", "3")
            wrong = wrong or _wrong(kept)
            sizes.append(size(ground.root))
        what = f"run {number + 1}"
        yield Trial("trained" if anew else "taken over", what, wrong, ended.seconds, shown=False)
    yield _kept_up(taken, sizes, ground)


def _wrong(ended: Ended) -> str:
    return f"status {ended.status}: {ended.said[-400:]}" if ended.status else ""


def _kept_up(taken: list[float], sizes: list[int], ground: Ground) -> Trial:
    """Whether the last tenth of the runs was as quick as the first, and the root as small."""
    some = max(1, len(taken) // 10)
    first, last = float(np.median(taken[:some])), float(np.median(taken[-some:]))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    database = (ground.root / "metadata.sqlite").stat().st_size
    told = (
        f"seconds {first:.1f} at first, {last:.1f} at last; megabytes of the root after cleaning "
        f"{', '.join(f'{one / 1e6:.1f}' for one in sizes)}; of ML Metadata {database / 1e6:.2f}; "
        f"largest process {memory:.0f} MB"
    )
    return Trial("kept up", told, "" if last <= _MOST * first else "slower")


def size(folder: Path) -> int:
    """Bytes in all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
