"""What the diagnosis is tried on, apart from what is planted in our own loop.

`reported` are the modules of tests/cases: situations of public reports that were written, and
mended for, beside the diagnosis. `foreign` are those of benchmarks/foreign: written by authors who
had not seen its code, from reports they searched themselves, before anything was known of what it
does with them; their first run is kept as it was. `correct` are loops that train as `fit` does.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "reported": ROOT / "tests" / "cases",
    "foreign": ROOT / "benchmarks" / "foreign",
    "correct": ROOT / "tests" / "correct",
}
# What may be said of a module, the worst last.
OUTCOMES = (
    "right",
    "right, and more",
    "unknown",
    "wrong name",
    "accused",
    "false identical",
    "failed",
)


def modules(kind: str) -> list[Path]:
    """The modules of a set, by name."""
    return sorted(
        path for path in FOLDERS[kind].glob("*.py") if not path.stem.startswith(("_", "test_"))
    )


def expected_of(path: Path) -> tuple[list[str], str | None]:
    """The ids that are right for a module and the side that has the mistake; none for correct
    code.
    """
    if path.parent == FOLDERS["correct"]:
        return [], None
    if path.parent == FOLDERS["reported"]:
        text = (path.parent / "expected.yaml").read_text(encoding="utf-8")
        entry = yaml.safe_load(text)[path.stem]
        return list(entry["ids"]), str(entry["side"])
    said = constants_of(path)
    cause = str(said["CAUSE"])
    return ([] if cause == "none" else [cause]), said["MISTAKE_IN"]


def constants_of(path: Path) -> dict[str, Any]:
    """The constants a module states at its top, read without running it."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {t.id: node.value.value for t in node.targets if isinstance(t, ast.Name)}
    return found


def outcome(
    verdict: str, named: list[str], sides: list[str], expected: list[str], side: str | None
) -> str:
    """One of `OUTCOMES`.

    Args:
        verdict: of the diagnosis; anything that is none is a failure.
        named: ids, in order.
        sides: of each.
        expected: ids that are right, any order; empty for correct code.
        side: that has the mistake.
    """
    if verdict not in ("identical", "causes_found", "unknown"):
        return "failed"
    if not named:
        same = verdict == "identical"
        return "unknown" if not same else "false identical" if expected else "right"
    if not expected:
        return "accused"
    if named[0] not in expected or sides[0] != side:
        return "wrong name"
    return "right" if set(named) <= set(expected) else "right, and more"
