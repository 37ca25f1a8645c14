"""What a Trainer node does in its own process: train every seed, export the first one's model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras

from twintrain.data.tfrecord_source import TransformedData
from twintrain.problems.find import find_problem
from twintrain.processes.worker_group import WorkerGroup
from twintrain.training.distribution import join_cluster
from twintrain.training.identity import Identity
from twintrain.training.seed_record import SeedRecord, weights_digest
from twintrain.training.seeds import SeedsJob, Splits, train_seeds


@dataclass(frozen=True)
class TrainingRequest:
    """One Trainer node's work.

    Attributes:
        seeds: to train.
        data: the transformed examples.
        transform_graph: uri of the TransformGraph artifact.
        serving_folder: where the servable model goes.
        recipe_hash: of the recipe asked for, before a tuner's values went into it.
        code: digest of the code.
    """

    seeds: SeedsJob
    data: TransformedData
    transform_graph: str
    serving_folder: Path
    recipe_hash: str
    code: str


def run(request: TrainingRequest) -> None:
    """Train and export; runs in a process of its own. Of several that share the work, the first
    exports.
    """
    group, seeds = WorkerGroup.of_this_process(), request.seeds
    if group is None:
        _export(_train(request, seeds), request)
    elif seeds.recipe.execution.strategy == "multi_worker":
        join_cluster(group, seeds.recipe.execution.join_minutes)
        if group.member == 0:
            _export(_train(request, seeds), request)
            return
        with TemporaryDirectory() as scratch:
            _train(request, replace(seeds, folder=Path(scratch)))
    else:
        share = seeds.recipe.seeds[group.member :: group.size]
        model = _train(request, replace(seeds, share=share))
        if group.member == 0:
            _export(model, request)


def _train(request: TrainingRequest, seeds: SeedsJob) -> keras.Model:
    problem = find_problem(seeds.recipe, request.data.spec)
    return train_seeds(seeds, problem, Splits.read(seeds.recipe, request.data))


def _export(model: keras.Model, request: TrainingRequest) -> None:
    from components.serving import export  # tensorflow_transform is not needed before

    seeds = request.seeds
    first = seeds.recipe.seeds[0]
    identity = Identity(
        twin=seeds.twin,
        seed=first,
        recipe_hash=request.recipe_hash,
        trained_on=SeedRecord.read(SeedRecord.place(seeds.folder, first)).figures.trained_on,
        weights=weights_digest(model.get_weights()),
        code=request.code,
    )
    problem = find_problem(seeds.recipe, request.data.spec)
    export(model, problem, seeds.recipe, request.transform_graph, request.serving_folder, identity)
