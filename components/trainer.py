"""The Trainer nodes: TFX's own Trainer, with this `run_fn`, which hands the work to a process that owns the GPU."""

from __future__ import annotations

from pathlib import Path

from tfx.components.trainer.fn_args_utils import FnArgs

from components.training_job import TrainingRequest, run
from components.transformed import transformed_data, with_best
from twintrain.crew import Crew, run_as_crew
from twintrain.isolation import run_isolated
from twintrain.recipe import Recipe
from twintrain.training.seeds import SeedsJob


def run_fn(fn_args: FnArgs) -> None:
    """Train one twin over all seeds of its recipe and export it.

    `fn_args.custom_config` is `components.transformed.training_config`. The records of the seeds go to the ModelRun
    artifact, the SavedModel and `twin.keras` to the Model artifact.
    """
    config = fn_args.custom_config
    assert config is not None
    data = transformed_data(str(Path(fn_args.train_files[0]).parent.parent), fn_args.transform_graph_path)
    recipe = with_best(Recipe.model_validate_json(config["recipe"]), fn_args.hyperparameters)
    seeds = SeedsJob(config["twin"], recipe, data, Path(fn_args.model_run_dir), Path(config["state_dir"]))
    request = TrainingRequest(seeds, fn_args.transform_graph_path, Path(fn_args.serving_model_dir))
    crew = Crew.of_this_process()
    if crew is None and recipe.execution.strategy == "multi_worker":
        run_as_crew(run, (request,), recipe.execution.machines)
    else:
        run_isolated(run, request)
    if crew is not None and crew.member:
        request.serving_folder.mkdir(parents=True)  # TFX insists on a model; the step that leads has it
