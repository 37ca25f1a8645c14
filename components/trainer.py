"""The Trainer nodes: TFX's own Trainer, with this `run_fn`, which hands the work to a process that
owns the GPU.
"""

from __future__ import annotations

import os
from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from components.training_job import TrainingRequest, run
from components.transformed import transformed_data, with_best
from twintrain.processes.isolated import run_isolated
from twintrain.processes.worker_group import SEEDS_AT_A_TIME, WorkerGroup, run_as_group
from twintrain.recipe.recipe import Recipe
from twintrain.training.seeds import SeedsJob, forget_state


def run_fn(fn_args: FnArgs) -> None:
    """Train one twin over all seeds of its recipe and export it.

    `fn_args.custom_config` is `components.transformed.training_config`. The records of the seeds go
    to the ModelRun artifact, the SavedModel, `twin.keras` and `twin.json` to the Model artifact.
    """
    config = fn_args.custom_config
    assert config is not None
    asked = Recipe.model_validate_json(config["recipe"])
    recipe = with_best(asked, fn_args.hyperparameters)
    graph = fn_args.transform_graph_path
    data = transformed_data(str(Path(fn_args.train_files[0]).parent.parent), graph, recipe)
    folder, state = Path(fn_args.model_run_dir), Path(config["state_dir"])
    seeds = SeedsJob(config["twin"], recipe, folder, state)
    serving = Path(fn_args.serving_model_dir)
    request = TrainingRequest(seeds, data, graph, serving, asked.hash, config["code"])
    group = WorkerGroup.of_this_process()
    if group is None and (size := _processes(recipe)) > 1:
        run_as_group(run, (request,), size)
    else:
        run_isolated(run, request)
    if group is not None and group.member:
        # TFX insists on a model; the step that leads has it.
        request.serving_folder.mkdir(parents=True)
    else:
        forget_state(seeds)


def _processes(recipe: Recipe) -> int:
    """How many processes of this machine share the work: its machines, or its seeds where each
    needs one device.
    """
    if recipe.execution.strategy == "multi_worker":
        return recipe.execution.machines
    at_a_time = int(os.environ.get(SEEDS_AT_A_TIME, "1"))
    return min(at_a_time, len(recipe.seeds)) if recipe.execution.strategy == "none" else 1
