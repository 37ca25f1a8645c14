"""What counts for a node's result, and what does not."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.nodes import BY_ID, EVERYTHING, NODES
from pipelines.provenance import code_digest, deciding_files
from tests.conftest import REPOSITORY
from twintrain.recipe.files import load_recipe

STANDARD = load_recipe("standard")
# How work is spread over processes and what is said when it fails decide no figure.
NO_PART_OF_A_RESULT = {"processes", "errors", "version"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone") / "report"  # a name that also means a package inside
    for name in ("twintrain", "components"):
        shutil.copytree(REPOSITORY / name, folder / name)
    return folder


def changed_by(clone: Path, file: str) -> set[str]:
    """The nodes whose digest changes with one byte of a file."""
    before = {node.id: code_digest(STANDARD, node.id, clone) for node in NODES}
    path = clone / file
    content = path.read_bytes()
    path.write_bytes(content + b"\n")
    try:
        return {node for node in before if code_digest(STANDARD, node, clone) != before[node]}
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    "file",
    [
        "twintrain/diagnosis/show.py",
        "twintrain/trend/page.py",
        "twintrain/trend/page.html",
        "twintrain/report/page.html",
        "twintrain/report/charts.py",
        "twintrain/data/importing/folder.py",
        "components/report.py",
        "components/trend_record.py",
    ],
)
def test_what_shows_a_result_costs_no_training(clone: Path, file: str) -> None:
    changed = changed_by(clone, file)
    assert "Report" in changed
    assert not changed & {"ExampleGen", "Transform", "Attribution", "TwinCheck"}
    assert not any(node.startswith(("Tuner", "Trainer")) for node in changed)
    assert ("ParityCheck" in changed) == file.startswith("twintrain/diagnosis")


@pytest.mark.parametrize(
    "file",
    [
        *(f"twintrain/training/{path.name}" for path in REPOSITORY.glob("twintrain/training/*.py")),
        *(f"twintrain/problems/{path.name}" for path in REPOSITORY.glob("twintrain/problems/*.py")),
        "twintrain/data/batches.py",
        "twintrain/recipe/recipe.py",
        "components/serving.py",
    ],
)
def test_what_decides_a_training_is_seen(clone: Path, file: str) -> None:
    changed = changed_by(clone, file)
    assert {"Trainer-fit", "Trainer-loop"} <= changed
    if file.startswith("twintrain"):
        assert {"Tuner-fit", "Tuner-loop", "ParityCheck", "Attribution"} <= changed
    else:
        assert not changed & {"Tuner-fit", "ParityCheck"}


def test_other_files_change_what_they_belong_to(clone: Path) -> None:
    everything = {"PushGate", "Report", "TrendRecord"}
    assert changed_by(clone, "components/preprocessing.py") == {"Transform", *everything}
    assert changed_by(clone, "components/data_gate.py") == {"DataGate", *everything}
    found = changed_by(clone, "twintrain/statistics/paired.py")
    assert found == {"Evaluator", "Attribution", *everything}
    found = changed_by(clone, "twintrain/diagnosis/pitfalls/loss.yaml")
    assert found == {"ParityCheck", *everything}
    assert changed_by(clone, "twintrain/recipe/builtin/bare.yaml") == everything


def test_the_users_model_module_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    mine = load_recipe("standard", ["model.name=my_own_model:build"])
    digests = {code_digest(STANDARD, "Trainer-fit")}
    for text in ("def build(): return 1\n", "def build(): return 2\n"):
        (tmp_path / "my_own_model.py").write_text(text)
        digests.add(code_digest(mine, "Trainer-fit"))
    assert len(digests) == 3


@pytest.mark.parametrize("pattern", sorted({pattern for node in NODES for pattern in node.code}))
def test_every_room_and_component_of_the_table_exists(pattern: str) -> None:
    assert any(path.is_file() for path in REPOSITORY.glob(pattern))


def test_every_component_counts_for_some_node() -> None:
    counted = {path for node in BY_ID for path in deciding_files(node)}
    modules = {path for path in REPOSITORY.glob("components/*.py") if path.stat().st_size}
    assert modules <= counted


@pytest.mark.parametrize(
    "node", [node.id for node in NODES if node.code and node.code != EVERYTHING]
)
def test_whatever_a_nodes_components_import_counts_for_it(node: str) -> None:
    files = deciding_files(node)
    for path in files:
        if path.parent.name == "components":
            for module in imported(path):
                room = module.split(".")[1]
                if room not in NO_PART_OF_A_RESULT:
                    place = REPOSITORY / module.replace(".", "/")
                    assert place.with_suffix(".py") in files or place / "__init__.py" in files, (
                        f"{path.name} imports {module}, which does not count for {node}"
                    )


def imported(path: Path) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module in ("twintrain.data", "components"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif node.module.startswith(("twintrain.", "components.")):
                yield node.module
