from __future__ import annotations

from pathlib import Path

import pytest
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types.standard_artifacts import Examples, TransformGraph

from components import parity_check
from components.artifacts import ParityRecord
from pipelines.config import RunConfig
from pipelines.twin_pipeline import create_pipeline
from tests.conftest import DATA
from tests.twintrain.tuning.test_search import DATA as DIGITS
from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe


@pytest.mark.in_turn(1)
def test_twins_that_part_under_one_recipe_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their model's first weights come from the operating system's randomness."""
    monkeypatch.setattr(parity_check, "transformed_data", lambda *_: DIGITS)
    recipe = load_recipe("standard", [f"model.name={__package__}.unseeded_model:build"])
    record = ParityRecord()
    record.uri = str(tmp_path / "parity")
    said = "The twins obey one recipe and yet part: after step 1 the forward output differs"
    with pytest.raises(TwintrainError, match=said):
        parity_check.ParityCheck.EXECUTOR_SPEC.executor_class._FUNCTION(
            transformed_examples=Examples(),
            transform_graph=TransformGraph(),
            parity=record,
            recipe=recipe.model_dump_json(),
            code="",
        )
    assert not Path(record.uri).exists()


def before(node: BaseNode) -> set[str]:
    """Ids of everything that has to end well before a node starts."""
    return {node.id for node in node.upstream_nodes}.union(*map(before, node.upstream_nodes))


def test_nothing_is_tuned_or_trained_before(tmp_path: Path) -> None:
    recipe, schema = load_recipe("standard"), DATA / "schema.pbtxt"
    config = RunConfig(recipe=recipe, data=DATA, schema_file=schema, root=tmp_path)
    nodes = {node.id: node for node in create_pipeline(config).components}
    costly = [name for name in nodes if name.startswith(("Tuner-", "Trainer-"))]
    assert len(costly) == 4
    for name in costly:
        assert "ParityCheck" in before(nodes[name])
