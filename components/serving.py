"""Export a trained twin as a SavedModel that takes raw examples, preprocessing included."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_transform as tft

from twintrain.data.example_spec import EXAMPLE_ID
from twintrain.parsing.sealed import sealed_json
from twintrain.problems.problem import Problem
from twintrain.processes.replacing import replace_text
from twintrain.recipe.recipe import Recipe
from twintrain.training.identity import Identity

# What the outputs are called, whatever a model predicts: earlier exports have this name.
OUTPUTS = "probabilities"


def export(
    model: keras.Model,
    problem: Problem,
    recipe: Recipe,
    transform_graph: str,
    folder: Path,
    identity: Identity,
) -> None:
    """Write the SavedModel and, beside it, `twin.keras` and `twin.json`.

    Signatures, both on serialized raw tf.Examples, string [batch]:
        serving_default: `OUTPUTS` float32 [batch, *output shape];
        transform_features: the target and what the Evaluator slices by, preprocessed.

    Args:
        model: takes preprocessed inputs.
        problem: knows the columns, and how inputs are prepared for the model.
        recipe: as the twin obeys it.
        transform_graph: uri of the TransformGraph artifact.
        folder: the SavedModel's directory.
        identity: which twin it is.
    """
    exported = _Serving(model, problem, recipe, tft.TFTransformOutput(transform_graph))
    signatures = {
        "serving_default": exported.predict.get_concrete_function(),
        "transform_features": exported.transform_features.get_concrete_function(),
    }
    tf.saved_model.save(exported, str(folder), signatures=signatures)
    model.save(folder / "twin.keras")
    whole = Identity.with_files(identity, folder)
    replace_text(folder / Identity.FILE, sealed_json(whole))


class _Serving(tf.Module):
    def __init__(
        self, model: keras.Model, problem: Problem, recipe: Recipe, graph: tft.TFTransformOutput
    ) -> None:
        super().__init__()
        self._model, self._spec = model, problem.spec
        self._rescale = problem.preparation(recipe).rescale
        # Keras 3 models are no trackables of tf.Module; their variables are named here so that they
        # are saved.
        self._tracked = [variable.value for variable in model.variables]
        self._transform = graph.transform_features_layer()
        self._full = graph.raw_feature_spec()
        # What is asked for a prediction has no label.
        beside = {*problem.statement.targets, EXAMPLE_ID}
        self._asked = {name: kind for name, kind in self._full.items() if name not in beside}
        stated = problem.statement
        self._kept = {stated.learned, *(stated.column_of(key) for key in stated.slice_keys)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def predict(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = self._transform(tf.io.parse_example(examples, self._asked))
        columns = {column.name: features[column.name] for column in self._spec.inputs}
        inputs = columns if self._spec.named else columns[self._spec.only.name]
        return {OUTPUTS: self._model(self._rescale(inputs), training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = self._transform(tf.io.parse_example(examples, self._full))
        return {name: features[name] for name in sorted(self._kept)}
