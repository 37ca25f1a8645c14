"""Export a trained twin as a SavedModel that takes raw examples, preprocessing included."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_transform as tft

from twintrain.comparison.push_decision import Identity
from twintrain.data.batches import scaled


def export(
    model: keras.Model, transform_graph: str, folder: Path, input_scale: str, identity: Identity
) -> None:
    """Write the SavedModel and, beside it, `twin.keras` and `twin.json`.

    Signatures, both on serialized raw tf.Examples, string [batch]:
        serving_default: 'probabilities' float32 [batch, classes];
        transform_features: the preprocessed features, for the Evaluator's slices.

    Args:
        model: takes preprocessed images.
        transform_graph: uri of the TransformGraph artifact.
        folder: the SavedModel's directory.
        input_scale: the range of pixels it was trained on (`training.input_scale`).
        identity: which twin it is.
    """
    graph = tft.TFTransformOutput(transform_graph)
    exported = _Serving(model, graph, input_scale)
    signatures = {
        "serving_default": exported.predict.get_concrete_function(),
        "transform_features": exported.transform_features.get_concrete_function(),
    }
    tf.saved_model.save(exported, str(folder), signatures=signatures)
    model.save(folder / "twin.keras")
    (folder / Identity.FILE).write_text(identity.model_dump_json(indent=1), encoding="utf-8")


class _Serving(tf.Module):
    def __init__(self, model: keras.Model, graph: tft.TFTransformOutput, input_scale: str) -> None:
        super().__init__()
        self._model, self._input_scale = model, input_scale
        # Keras 3 models are no trackables of tf.Module; their variables are named here so that they
        # are saved.
        self._tracked = [variable.value for variable in model.variables]
        self._transform = graph.transform_features_layer()
        spec = graph.raw_feature_spec()
        # What is asked for a prediction has no label.
        self._asked = {name: spec[name] for name in ("image",)}
        self._full = spec

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def predict(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = self._transform(tf.io.parse_example(examples, self._asked))
        images = scaled(features["image"], self._input_scale)
        return {"probabilities": self._model(images, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = self._transform(tf.io.parse_example(examples, self._full))
        return {"ink": features["ink"], "label": features["label"]}
