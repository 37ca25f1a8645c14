"""What a Trainer node does in its own process: train every seed, export the first one's model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from twintrain.crew import Crew
from twintrain.training.distribution import join_cluster
from twintrain.training.seeds import SeedsJob, forget_state, train_seeds


@dataclass(frozen=True)
class TrainingRequest:
    """One Trainer node's work: the seeds to train, and where the servable model goes."""

    seeds: SeedsJob
    transform_graph: str
    serving_folder: Path


def run(request: TrainingRequest) -> None:
    """Train and export; runs in a process of its own. Of several that train together, the first leaves the result."""
    crew = Crew.of_this_process()
    if crew is None:
        _train_and_export(request)
        return
    join_cluster(crew, request.seeds.recipe.execution.join_minutes)
    if crew.member == 0:
        _train_and_export(request)
        return
    with TemporaryDirectory() as scratch:
        train_seeds(replace(request.seeds, folder=Path(scratch)))


def _train_and_export(request: TrainingRequest) -> None:
    model = train_seeds(request.seeds)
    from components.serving import export  # tensorflow_transform is not needed before

    scale = request.seeds.recipe.training.input_scale
    export(model, request.transform_graph, request.serving_folder, scale)
    forget_state(request.seeds)
