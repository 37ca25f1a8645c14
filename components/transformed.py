"""From TFX artifacts to what the library trains on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from keras_tuner import HyperParameters

from components.schema_features import class_values, feature_named
from twintrain.data.example_spec import EXAMPLE_ID, IMAGE, WEIGHT, Column, ExampleSpec
from twintrain.data.tfrecord_source import TransformedData, split_files
from twintrain.errors import TwintrainError
from twintrain.problems.find import statement_of
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
    graph, statement = tft.TFTransformOutput(transform_graph_uri), statement_of(recipe)
    columns = graph.transformed_feature_spec()
    learned = _column(statement.learned, columns[statement.learned])
    classes: tuple[str | int, ...] = ()
    if statement.task.CLASSIFIES:
        classes = class_values(feature_named(graph.raw_metadata.schema, statement.target))
    if recipe.problem.module is None:
        image = _column(IMAGE, columns[IMAGE])
        return ExampleSpec((image,), learned, len(classes), named=False)
    beside = {statement.learned, EXAMPLE_ID, WEIGHT}
    given = [
        name
        for name in sorted(columns)
        if name not in beside and not name.startswith(statement.sliced)
    ]
    return ExampleSpec(
        inputs=tuple(_column(name, columns[name], _size(graph, name)) for name in given),
        target=learned,
        classes=len(classes) or None,
        class_names=tuple(map(str, classes)),
        weighted=WEIGHT in columns,
    )


def _column(name: str, feature: tf.io.FixedLenFeature, size: int | None = None) -> Column:
    if not isinstance(feature, tf.io.FixedLenFeature):
        raise TwintrainError(
            f"Preprocessing leaves {name!r} without a fixed shape.",
            "Make it dense: tf.sparse.to_dense, RaggedTensor.to_tensor(shape=[None, LENGTH]).",
        )
    if feature.dtype == tf.string:
        raise TwintrainError(
            f"Preprocessing leaves {name!r} as text, which no model takes.",
            "Give it codes: tft.compute_and_apply_vocabulary.",
        )
    return Column(name, tuple(feature.shape), feature.dtype.name, size)


def _size(graph: tft.TFTransformOutput, name: str) -> int | None:
    """How many codes a column has, where Transform says so."""
    feature = feature_named(graph.transformed_metadata.schema, name)
    domain = feature.int_domain
    if feature.HasField("int_domain") and domain.min >= 0 and domain.max > 0:
        return int(domain.max) + 1
    return None


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
    # As few as a recipe with these phases can have.
    epochs = max(tuning.epochs, deciding.fine_tuning.frozen_epochs + 1)
    training = deciding.training.model_copy(update={"epochs": epochs})
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
