"""The Tuner nodes: TFX's Tuner with an executor that searches in a process that owns the GPU and
keeps every trial.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components import Tuner
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs

from components.transformed import transformed_data
from twintrain.processes.isolated import run_isolated
from twintrain.recipe.recipe import Recipe
from twintrain.tuning.search import TuningJob, nothing_searched, search_step, write_result

Artifacts = dict[str, list[types.Artifact]]


class TwinTunerExecutor(base_executor.BaseExecutor):
    """Runs `twintrain.tuning.search.search_step` and writes what TFX's own executor would, plus
    seconds and epochs per trial.
    """

    def Do(  # noqa: N802 - TFX's name
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See `BaseExecutor.Do`."""
        config = json.loads(exec_properties[specs.CUSTOM_CONFIG_KEY])
        recipe = Recipe.model_validate_json(config["recipe"])
        examples = artifact_utils.get_single_uri(input_dict[specs.EXAMPLES_KEY])
        graph = artifact_utils.get_single_uri(input_dict[specs.TRANSFORM_GRAPH_KEY])
        data = transformed_data(examples, graph, recipe)
        # Named by what decides the search, so that an interrupted one is found again.
        key = hashlib.sha256(f"{recipe.hash} {examples}".encode()).hexdigest()[:16]
        folder = Path(config["state_dir"]) / f"tuning-{config['twin']}-{key}"
        result = (
            nothing_searched()
            if not recipe.tuning.trials
            else run_isolated(search_step, TuningJob(config["twin"], recipe, data, folder))
        )
        if result is None:
            return
        best = Path(artifact_utils.get_single_uri(output_dict[specs.BEST_HYPERPARAMETERS_KEY]))
        trials = Path(artifact_utils.get_single_uri(output_dict[specs.TUNER_RESULTS_KEY]))
        write_result(result, best / "best_hyperparameters.txt", trials / "tuner_results.json")
        shutil.rmtree(folder, ignore_errors=True)


class TwinTuner(Tuner):
    """A TFX Tuner for one twin.

    Args:
        examples: transformed examples.
        transform_graph: what transformed them.
        custom_config: `components.transformed.tuning_config`.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(TwinTunerExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        custom_config: dict[str, Any],
    ) -> None:
        super().__init__(
            examples=examples,
            transform_graph=transform_graph,
            tuner_fn="twintrain.tuning.search.search_step",
            custom_config=custom_config,
        )
