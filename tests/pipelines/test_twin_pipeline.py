from __future__ import annotations

from pathlib import Path

import pytest
from tfx.dsl.compiler.compiler import Compiler
from tfx.utils.dependency_utils import make_beam_dependency_flags

from pipelines.config import RunConfig, size_of
from pipelines.twin_pipeline import _in_place, create_pipeline
from tests.conftest import DATA
from twintrain.recipe.files import load_recipe
from twintrain.training.identity import Identity


def config(root: Path, recipe: str = "standard", *overrides: str, **fields: object) -> RunConfig:
    return RunConfig(
        recipe=load_recipe(recipe, overrides),
        data=DATA,
        schema_file=DATA / "schema.pbtxt",
        root=root,
        **fields,
    )


def nodes(run: RunConfig) -> list[str]:
    compiled = Compiler().compile(create_pipeline(run))
    return [node.pipeline_node.node_info.id for node in compiled.nodes]


def test_it_compiles_and_what_depends_comes_later(tmp_path: Path) -> None:
    names = nodes(config(tmp_path))
    for earlier, later in (
        ("ExampleGen", "StatisticsGen"),
        ("DataGate", "Transform"),
        ("Tuner-fit", "Trainer-fit"),
        ("Tuner-loop", "Trainer-loop"),
        ("Trainer-loop", "TwinCheck"),
        ("TwinCheck", "Evaluator"),
        ("Evaluator", "Report"),
        ("Evaluator", "PushGate"),
        ("PushGate", "Report"),
        ("PushGate", "Pusher"),
    ):
        assert names.index(earlier) < names.index(later)


def test_the_experiment_is_a_node_only_where_it_is_asked_for_and_the_twins_differ(
    tmp_path: Path,
) -> None:
    assert "Attribution" not in nodes(config(tmp_path, "bare"))
    assert "Attribution" not in nodes(config(tmp_path, "standard", "attribution.enabled=true"))
    names = nodes(config(tmp_path, "bare", "attribution.enabled=true"))
    assert names.index("Trainer-loop") < names.index("Attribution") < names.index("Report")


def test_beam_uses_the_cores_unless_the_data_is_small(tmp_path: Path) -> None:
    assert "--direct_num_workers=3" in config(tmp_path, workers=3).beam_arguments
    assert "--direct_running_mode=multi_processing" in config(tmp_path, workers=3).beam_arguments
    assert (
        "--direct_running_mode=in_memory"
        in config(tmp_path, "standard", "data.limit=6000").beam_arguments
    )


def test_small_is_what_lies_on_the_disk_where_it_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, several = "--direct_running_mode=in_memory", "--direct_num_workers=4"
    seen = config(tmp_path)
    assert alone in seen.beam_on(4)
    assert several in seen.model_copy(update={"ingest_later": True}).beam_on(4)
    assert several in seen.model_copy(update={"data": tmp_path / "elsewhere"}).beam_on(4)
    files = size_of(seen)
    assert files == sum(path.stat().st_size for path in DATA.glob("*-ubyte.gz"))
    for most, expected in ((files, alone), (files - 1, several)):
        monkeypatch.setattr("pipelines.config.SMALL_FILES", most)
        assert expected in seen.beam_on(4)


def test_only_what_a_run_reads_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for span in (1, 2):
        folder = tmp_path / "spans" / f"span-{span}"
        folder.mkdir(parents=True)
        (folder / "rows.csv").write_text("a,b\n1,2\n" * span)
        (folder / "notes.txt").write_text("x" * 1000)
    table = config(tmp_path, "standard", "problem.module=stated_nowhere")
    for data, expected in ((tmp_path / "spans", 16), (tmp_path / "spans" / "span-1", 8)):
        assert size_of(table.model_copy(update={"data": data})) == expected
    assert size_of(table.model_copy(update={"data": tmp_path / "nowhere"})) == 0


def test_tfx_packs_no_copy_of_itself_for_beam(tmp_path: Path) -> None:
    arguments = config(tmp_path).beam_arguments
    assert make_beam_dependency_flags(arguments) == arguments


def test_a_changed_schema_gets_another_path(tmp_path: Path) -> None:
    first = config(tmp_path).with_pinned_schema()
    assert first.schema_file == config(tmp_path).with_pinned_schema().schema_file
    other = tmp_path / "schema.pbtxt"
    other.write_text(first.schema_file.read_text() + "# changed\n")
    changed = first.model_copy(update={"schema_file": other}).with_pinned_schema()
    assert changed.schema_file != first.schema_file
    assert changed.schema_file.read_text() == other.read_text()


def test_a_run_survives_the_way_to_another_process(tmp_path: Path) -> None:
    run = config(tmp_path, "bare", span=3)
    assert RunConfig.model_validate_json(run.model_dump_json()) == run


@pytest.mark.parametrize("recipe", ["standard", "bare"])
def test_only_a_shared_recipe_demands_equal_batches(tmp_path: Path, recipe: str) -> None:
    compiled = Compiler().compile(create_pipeline(config(tmp_path, recipe)))
    (check,) = (
        n.pipeline_node for n in compiled.nodes if n.pipeline_node.node_info.id == "TwinCheck"
    )
    demanded = check.parameters.parameters["must_agree"].field_value.int_value
    assert demanded == (1 if recipe == "standard" else 0)


def test_a_decision_is_taken_anew_where_the_pushed_twin_was_changed(tmp_path: Path) -> None:
    model = tmp_path / "7"
    model.mkdir()
    (model / "saved_model.pb").write_bytes(b"graph")
    known = {"twin": "loop", "seed": 0, "recipe_hash": "a", "trained_on": "b", "weights": "c"}
    identity = Identity.with_files(Identity(**known, code="d"), model)
    (model / Identity.FILE).write_text(identity.model_dump_json())
    assert _in_place(tmp_path) == "7"
    (model / "saved_model.pb").write_bytes(b"grape")
    assert _in_place(tmp_path) == "7, changed since"
    assert _in_place(tmp_path / "nowhere") == ""
