"""Images per second on full MNIST, textbook model: four ways to train it, in turn, several rounds.

python benchmarks/training_speed.py [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from machine import describe

from twintrain.data import idx
from twintrain.data.example_spec import labelled_images
from twintrain.data.example_store import ExampleStore, build_store
from twintrain.problems.find import find_problem
from twintrain.recipe.files import load_recipe
from twintrain.training.registry import twin_of
from twintrain.training.session import build, session
from twintrain.training.twin import TwinJob

DATA = Path(__file__).resolve().parent.parent / "data"


def mnist(split: str) -> ExampleStore:
    pair = idx.find_pair(DATA, split)
    labels = idx.read_labels(pair.labels)
    raw = b"".join(idx.read_images(pair.images, 0, len(labels)))
    images = np.frombuffer(raw, np.uint8).reshape(-1, 28, 28, 1).astype(np.float32) / np.float32(
        255
    )
    ids = np.array([f"{split}-{position:08d}" for position in range(len(labels))], np.bytes_)
    return build_store([(images, labels.astype(np.int64), ids)], 1 << 31)


def twin(
    name: str, overrides: list[str], epochs: int
) -> Callable[[ExampleStore, ExampleStore], float]:
    def run(train: ExampleStore, test: ExampleStore) -> float:
        recipe = load_recipe("standard", [f"training.epochs={epochs}", *overrides]).for_twin(name)
        job = TwinJob(
            recipe, find_problem(recipe, labelled_images(train.shape, 10)), train, test, 0
        )
        return twin_of(recipe, name).train(job).images_per_second

    return run


def fit_on_arrays(train: ExampleStore, test: ExampleStore) -> float:
    """What most people write: `model.fit(x, y, validation_data=...)`, nothing set."""
    recipe = load_recipe("standard", ["execution.deterministic=false"])
    images, held = train.values(np.arange(len(train))), test.values(np.arange(len(test)))
    with session(recipe, 0):
        built = build(recipe, find_problem(recipe, labelled_images(train.shape, 10)), 1875)
        built.model.compile(
            optimizer=built.optimizer, loss=built.loss, metrics=[built.accuracy], jit_compile=False
        )
        seconds: list[float] = []
        started = time.perf_counter()

        def note(epoch: int, logs: dict[str, float] | None) -> None:
            nonlocal started
            seconds.append(time.perf_counter() - started)
            started = time.perf_counter()

        hook = keras.callbacks.LambdaCallback(on_epoch_end=note)
        built.model.fit(
            images,
            train.targets,
            epochs=3,
            validation_data=(held, test.targets),
            callbacks=[hook],
            verbose=0,
        )
    return 2 * len(train) / sum(seconds[1:])


WAYS = {
    "fit on arrays": fit_on_arrays,
    "fit twin": twin("fit", [], 3),
    "loop twin": twin("loop", [], 3),
    "eager loop": twin("loop", ["training.compiled=false", "training.shuffle=false"], 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    train, test = mnist("train"), mnist("eval")
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(options.rounds):
        for name, way in WAYS.items():
            speeds[name].append(round(way(train, test)))
            print(
                f"round {number + 1}/{options.rounds}  {name:<14}{speeds[name][-1]:>8,} images/s",
                flush=True,
            )
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, median in medians.items():
        print(
            f"{name:<14} median {median:>8,.0f} images/s, {median / medians['fit on arrays']:.2f} "
            "x fit on arrays"
        )
    if options.json:
        result = {"images_per_second": speeds, "medians": medians, "machine": describe()}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
