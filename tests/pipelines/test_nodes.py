"""The table of nodes against what really runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.components.base.base_node import BaseNode

from pipelines.config import RunConfig
from pipelines.kfp.cluster import Cluster
from pipelines.kfp.input_state import COMMON, OUTPUTS, handed
from pipelines.nodes import BY_ID, NODES, TRAINING_NODES, caption
from pipelines.provenance import deciding_files
from pipelines.twin_pipeline import create_pipeline
from tests.conftest import DATA, REPOSITORY
from twintrain.recipe.files import load_recipe


def made(root: Path, recipe: str, *overrides: str) -> list[BaseNode]:
    """The pipeline's nodes in the order in which they run."""
    config = RunConfig(
        recipe=load_recipe(recipe, overrides),
        data=DATA,
        schema_file=DATA / "schema.pbtxt",
        root=root,
    )
    pipeline = create_pipeline(config)
    by_id = {node.id: node for node in pipeline.components}
    return [by_id[node.pipeline_node.node_info.id] for node in Compiler().compile(pipeline).nodes]


def test_the_pipeline_has_the_nodes_of_the_table_in_their_order(tmp_path: Path) -> None:
    whole = made(tmp_path, "bare", "attribution.enabled=true")
    assert [node.id for node in whole] == [node.id for node in NODES]
    least = made(tmp_path, "standard")
    assert [node.id for node in least] == [node.id for node in NODES if not node.optional]


def test_every_node_has_an_id_of_its_own_and_a_caption() -> None:
    assert len(BY_ID) == len(NODES)
    assert len({caption(node.id) for node in NODES}) == len(NODES)
    assert all(caption(node.id) for node in NODES)
    assert caption("NoSuchNode") == ""


def test_each_nodes_own_component_decides_its_result(tmp_path: Path) -> None:
    for node in made(tmp_path, "bare", "attribution.enabled=true"):
        own = {type(node).__module__, node.executor_spec.class_path}
        properties = getattr(node, "exec_properties", {})
        own |= {str(properties.get(name)) for name in ("run_fn", "preprocessing_fn")}
        files = {path.relative_to(REPOSITORY).as_posix() for path in deciding_files(node.id)}
        for name in own:
            if name.startswith("components."):
                assert f"components/{name.split('.')[1]}.py" in files, (node.id, name)


def test_a_node_whose_code_counts_is_told_its_digest(tmp_path: Path) -> None:
    told = {
        node.id
        for node in made(tmp_path, "bare", "attribution.enabled=true")
        if "code" in node.exec_properties or '"code"' in str(node.exec_properties)
    }
    # The Evaluator is TFX's own and takes no such thing; TrendRecord always runs.
    ours = {node.id for node in NODES if node.code} - {"Evaluator", "TrendRecord", "ExampleGen"}
    assert told - {"ExampleGen"} == ours


def test_what_trains_may_own_a_gpu_in_a_cluster() -> None:
    cluster = Cluster.model_validate(
        {"image": "i", "pipeline_root": "s3://b/r", "training": {"gpu": {"count": 1}}}
    )
    assert {node for node in BY_ID if cluster.step(node).gpu} == set(TRAINING_NODES)
    assert set(TRAINING_NODES) == {
        *("Tuner-fit", "Tuner-loop", "Trainer-fit", "Trainer-loop", "Attribution")
    }


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.id)
def test_a_node_is_handed_what_the_first_step_leaves(node: object) -> None:
    assert set(handed(node).values()) <= set(OUTPUTS)  # type: ignore[arg-type]
    assert all((REPOSITORY / name).is_file() for name in COMMON)
