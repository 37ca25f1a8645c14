"""What a Trainer node does in its own process: train every seed, export the first one's model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twintrain.training.seeds import SeedsJob, forget_state, train_seeds


@dataclass(frozen=True)
class TrainingRequest:
    """One Trainer node's work: the seeds to train, and where the servable model goes."""

    seeds: SeedsJob
    transform_graph: str
    serving_folder: Path


def run(request: TrainingRequest) -> None:
    """Train and export; runs in a process of its own."""
    model = train_seeds(request.seeds)
    from components.serving import export  # tensorflow_transform is not needed before

    scale = request.seeds.recipe.training.input_scale
    export(model, request.transform_graph, request.serving_folder, scale)
    forget_state(request.seeds)
