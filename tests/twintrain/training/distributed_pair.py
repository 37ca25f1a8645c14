"""Trains both twins on virtual CPU devices, which must be set up before TensorFlow does anything: a
process of its own.

    python -m tests.twintrain.training.distributed_pair REPLICAS OUTPUT [KEY=VALUE …]

Writes per twin the final weights, the figures and the fingerprints of the batches.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from twintrain.recipe.files import load_recipe


def main(replicas: int, output: Path, overrides: list[str], state: Path | None = None) -> None:
    device = tf.config.list_physical_devices("CPU")[0]
    if replicas > 1:
        tf.config.set_logical_device_configuration(
            device, [tf.config.LogicalDeviceConfiguration()] * replicas
        )
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
    np.savez(output, **found)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
