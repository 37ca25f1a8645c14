"""From TFX artifacts to what the library trains on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from keras_tuner import HyperParameters

from twintrain.data.example_spec import IMAGE, Column, ExampleSpec
from twintrain.data.tfrecord_source import TransformedData, split_files
from twintrain.problems.statement import statement_of
from twintrain.recipe.recipe import Recipe
from twintrain.tuning.search import with_values


def transformed_data(
    examples_uri: str, transform_graph_uri: str, recipe: Recipe
) -> TransformedData:
    """The transformed examples of a run, with the columns that the recipe's problem asks for."""
    return TransformedData(
        files={split: split_files(examples_uri, split) for split in ("train", "eval")},
        spec=example_spec(transform_graph_uri, recipe),
    )


def example_spec(transform_graph_uri: str, recipe: Recipe) -> ExampleSpec:
    """Shapes and types as Transform leaves them, and the number of classes the schema gives."""
    graph, target = tft.TFTransformOutput(transform_graph_uri), statement_of(recipe).target
    columns = graph.transformed_feature_spec()
    raw = {feature.name: feature for feature in graph.raw_metadata.schema.feature}
    return ExampleSpec(
        inputs=(_column(IMAGE, columns[IMAGE]),),
        target=_column(target, columns[target]),
        classes=int(raw[target].int_domain.max) + 1,
        named=False,
    )


def _column(name: str, feature: tf.io.FixedLenFeature) -> Column:
    return Column(name, tuple(feature.shape), feature.dtype.name)


def training_config(recipe: Recipe, twin: str, state_dir: str) -> dict[str, Any]:
    """A Trainer's custom_config: only what decides its result, so that nothing else costs a cached
    training.
    """
    return {
        "twin": twin,
        "recipe": recipe.for_twin(twin).for_training().model_dump_json(),
        "state_dir": state_dir,
    }


def tuning_config(recipe: Recipe, twin: str, state_dir: str) -> dict[str, Any]:
    """A Tuner's custom_config, likewise."""
    tuning = recipe.tuning.model_copy(update={"apply": False})
    deciding = recipe.for_twin(twin).for_training().model_copy(update={"seeds": (0,)})
    # `search` trains for tuning.epochs; the trainings' own number must not cost a cached search.
    training = deciding.training.model_copy(update={"epochs": tuning.epochs})
    deciding = deciding.model_copy(update={"tuning": tuning, "training": training})
    return {"twin": twin, "recipe": deciding.model_dump_json(), "state_dir": state_dir}


def with_best(recipe: Recipe, best: dict[str, Any] | None) -> Recipe:
    """The recipe with the tuner's best values, where the recipe asks for them."""
    if not recipe.tuning.apply or best is None:
        return recipe
    return with_values(recipe, HyperParameters.from_config(best).values)


def read_best(uri: str) -> dict[str, Any]:
    """keras-tuner's configuration of the best hyperparameters, from a HyperParameters artifact."""
    best: dict[str, Any] = json.loads(
        (Path(uri) / "best_hyperparameters.txt").read_text(encoding="utf-8")
    )
    return best
