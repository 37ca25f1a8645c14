"""The Tuner nodes: TFX's Tuner with an executor that searches in a process that owns the GPU and keeps every trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components import Tuner
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs

from components.transformed import transformed_data
from twintrain.isolation import run_isolated
from twintrain.recipe import Recipe
from twintrain.tuning import TuningJob, search, write_result

Artifacts = dict[str, list[types.Artifact]]


class TwinTunerExecutor(base_executor.BaseExecutor):
    """Runs `twintrain.tuning.search` and writes what TFX's own executor would, plus seconds and epochs per trial."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:  # noqa: N802
        """See `BaseExecutor.Do`."""
        config = json.loads(exec_properties[specs.CUSTOM_CONFIG_KEY])
        data = transformed_data(
            artifact_utils.get_single_uri(input_dict[specs.EXAMPLES_KEY]),
            artifact_utils.get_single_uri(input_dict[specs.TRANSFORM_GRAPH_KEY]),
        )
        folder = Path(self._get_tmp_dir())
        result = run_isolated(
            search, TuningJob(config["twin"], Recipe.model_validate_json(config["recipe"]), data, folder)
        )
        best = Path(artifact_utils.get_single_uri(output_dict[specs.BEST_HYPERPARAMETERS_KEY]))
        trials = Path(artifact_utils.get_single_uri(output_dict[specs.TUNER_RESULTS_KEY]))
        write_result(result, best / "best_hyperparameters.txt", trials / "tuner_results.json")


class TwinTuner(Tuner):
    """A TFX Tuner for one twin.

    Args:
        examples: transformed examples.
        transform_graph: what transformed them.
        custom_config: `components.transformed.tuning_config`.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(TwinTunerExecutor)

    def __init__(
        self, examples: types.BaseChannel, transform_graph: types.BaseChannel, custom_config: dict[str, Any]
    ) -> None:
        super().__init__(
            examples=examples,
            transform_graph=transform_graph,
            tuner_fn="twintrain.tuning.search",
            custom_config=custom_config,
        )
