"""Trains both twins on virtual CPU devices, which must be set up before TensorFlow does anything: a
process of its own, in which one recipe after the other is trained.

    python -m tests.twintrain.training.distributed_pair REPLICAS FOLDER '{"NAME": ["KEY=VALUE"]}'

Leaves FOLDER/NAME.npz with, per twin, the final weights, the figures and the fingerprints of the
batches; or FOLDER/NAME.txt with what refused the recipe.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from twintrain.errors import TwintrainError
from twintrain.recipe.files import load_recipe

Found = dict[str, np.ndarray]


def train_pair(overrides: list[str], state: Path | None = None) -> Found:
    """Train both twins in this process, for two epochs unless `overrides` say otherwise.

    Args:
        overrides: of the standard recipe.
        state: folder for the state of each training after its last epoch; None keeps none.
    """
    recipe = load_recipe("standard", ["training.epochs=2", *overrides])
    from tests.conftest import mnist_store
    from twintrain.data.example_spec import labelled_images
    from twintrain.problems.find import find_problem
    from twintrain.training.registry import twin_of
    from twintrain.training.twin import TwinJob

    train, test = mnist_store("train", 330), mnist_store("eval", 200)
    problem = find_problem(recipe, labelled_images((28, 28, 1), 10))
    found = {}
    for twin in ("fit", "loop"):
        kept = state and state / f"{twin}.npz"
        result = twin_of(recipe, twin).train(
            TwinJob(recipe, problem, train, test, seed=1, resume=kept)
        )
        found |= {f"{twin}-{index}": weight for index, weight in enumerate(result.final_weights)}
        found[f"{twin}-fingerprints"] = result.fingerprints
        found[f"{twin}-history"] = np.array(json.dumps(result.history))
    return found


def main(replicas: int, folder: Path, recipes: dict[str, list[str]]) -> None:
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        device, [tf.config.LogicalDeviceConfiguration()] * replicas
    )
    for name, overrides in recipes.items():
        try:
            np.savez(folder / f"{name}.npz", **train_pair(overrides))
        except TwintrainError as error:
            (folder / f"{name}.txt").write_text(str(error), encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
