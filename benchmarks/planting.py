"""A correct training loop in which any pitfall of the catalogue can be planted.

`planted_loop(setup, {"training_flag_missing"})` is a `custom_loop` with that mistake; with no
mistake it trains exactly as `reference_fit(setup)` does. The matrix in `benchmarks/diagnosis.py` is
made of these.

A new pitfall is a line of `PLANTINGS`, which says what it asks of a task, and the place in `_Loop`
where it is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.planted_task import (
    LoopFunction,
    Planting,
    Setup,
    Trait,
    rows_in,
    shuffled,
    start_anew,
    warmth,
)

PLANTINGS = {
    "different_initial_weights": Planting(),
    "shuffle_missing": Planting(),
    "shuffle_buffer_too_small": Planting(not_beside=frozenset({"shuffle_missing"})),
    "batch_size_differs": Planting(),
    "epoch_truncated": Planting(),
    "last_batch_dropped": Planting(not_beside=frozenset({"epoch_truncated"})),
    "validation_split_differs": Planting(
        not_beside=frozenset({"epoch_truncated", "last_batch_dropped", "evaluation_set_differs"})
    ),
    "targets_misaligned": Planting(),
    "preprocessing_differs": Planting(Trait.SCALE),
    "augmentation_one_sided": Planting(not_beside=frozenset({"preprocessing_differs"})),
    "training_flag_missing": Planting(Trait.TWO_MODES),
    "recurrent_state_not_reset": Planting(
        not_beside=frozenset(
            {"batch_size_differs", "last_batch_dropped", "metric_batch_average"}
            | {"loss_before_update"}
        ),
        stateful=True,
    ),
    "dropout_rate_inverted": Planting(Trait.TWO_MODES, frozenset({"training_flag_missing"})),
    "precision_differs": Planting(),
    "python_value_frozen_in_trace": Planting(warming=True),
    "target_broadcast": Planting(Trait.ONE_OUTPUT),
    "probabilities_as_logits": Planting(Trait.PROBABILITIES),
    "label_encoding_differs": Planting(Trait.PROBABILITIES, frozenset({"probabilities_as_logits"})),
    "loss_reduction": Planting(),
    "regularization_losses_missing": Planting(),
    "weights_ignored": Planting(weighted=True),
    "loss_weights_ignored": Planting(two_outputs=True),
    "weighted_mean_normalization": Planting(
        not_beside=frozenset({"weights_ignored"}), weighted=True
    ),
    "mask_ignored": Planting(Trait.PADDING),
    "loss_scale_not_applied": Planting(not_beside=frozenset({"precision_differs"}), half=True),
    "gradients_rescaled": Planting(),
    "clipping_missing": Planting(
        not_beside=frozenset({"clip_per_variable_vs_global", "gradients_rescaled"}),
        optimizer={"global_clipnorm": 0.05},
    ),
    "clip_per_variable_vs_global": Planting(
        not_beside=frozenset({"gradients_rescaled"}), optimizer={"global_clipnorm": 0.05}
    ),
    "embedding_gradients_dense": Planting(
        Trait.LOOKUPS,
        frozenset({"gradients_rescaled", "gradient_accumulation", "constraints_not_applied"}),
    ),
    "optimizer_differs": Planting(
        not_beside=frozenset({"clip_per_variable_vs_global", "clipping_missing"})
    ),
    "optimizer_state_reset": Planting(
        not_beside=frozenset({"optimizer_differs", "gradient_accumulation"})
    ),
    "learning_rate_schedule": Planting(not_beside=frozenset({"optimizer_differs"}), scheduled=True),
    "gradient_accumulation": Planting(not_beside=frozenset({"gradients_rescaled"})),
    "constraints_not_applied": Planting(
        not_beside=frozenset(
            {"gradient_accumulation", "optimizer_differs", "gradients_rescaled"}
            | {"optimizer_state_reset"}
        ),
        constrained=True,
    ),
    "trainable_flags": Planting(),
    "metrics_not_reset": Planting(),
    "metric_batch_average": Planting(not_beside=frozenset({"last_batch_dropped"})),
    "loss_before_update": Planting(
        not_beside=frozenset({"metrics_not_reset", "metric_batch_average"})
    ),
    "last_batch_logged": Planting(
        not_beside=frozenset({"metrics_not_reset", "metric_batch_average", "loss_before_update"})
    ),
    "metric_definition_differs": Planting(
        not_beside=frozenset(
            {
                "regularization_losses_missing",
                "metrics_not_reset",
                "last_batch_logged",
                "loss_before_update",
            }
        )
    ),
    "ema_not_finalized": Planting(
        not_beside=frozenset({"optimizer_differs"}),
        optimizer={"use_ema": True, "ema_momentum": 0.9},
    ),
    "evaluation_set_differs": Planting(),
    "evaluation_training_mode": Planting(Trait.TWO_MODES),
    "epochs_differ": Planting(),
    "early_stopping_rule": Planting(stopping=True),
    "best_weights_not_restored": Planting(stopping=True),
}


def can_stand_together(ids: Iterable[str]) -> bool:
    """Whether each of some pitfalls shows beside the others."""
    chosen = set(ids)
    return not any(PLANTINGS[id_].not_beside & chosen for id_ in chosen)


def planted_loop(setup: Setup, planted: frozenset[str]) -> LoopFunction:
    """`custom_loop` of a setup with these pitfalls planted."""

    def custom_loop(model: keras.Model, ds: tf.data.Dataset, epochs: int) -> Any:
        return _Loop(setup, planted, _prepared(setup, planted, model)).train(ds, epochs)

    return custom_loop


def _prepared(setup: Setup, planted: frozenset[str], model: keras.Model) -> keras.Model:
    """The model as the mistake leaves it."""
    if "different_initial_weights" in planted:
        keras.utils.set_random_seed(99)
        model = setup.build("mixed_float16" if setup.half else "float32")
    if "precision_differs" in planted:
        half = setup.build("mixed_bfloat16")
        half.set_weights(model.get_weights())
        model = half
    for layer in model.layers:
        if "dropout_rate_inverted" in planted and isinstance(layer, keras.layers.Dropout):
            layer.rate = 1 - layer.rate
        if "mask_ignored" in planted and isinstance(layer, keras.layers.Embedding):
            layer.mask_zero = layer.supports_masking = False
    return model


class _Loop:
    """One training with its mistakes."""

    def __init__(self, setup: Setup, planted: frozenset[str], model: keras.Model) -> None:
        self.setup, self.planted, self.model = setup, planted, model
        self.optimizer = self._made_optimizer()
        self.weight = 1.0
        self.traced: Any = None
        self.best = float("inf")
        self.wait = 0
        self.kept = model.get_weights()
        self.sums: list[np.ndarray] = []
        self.batches: list[tuple[float, int]] = []
        self.held: tf.data.Dataset | None = None

    def has(self, id_: str) -> bool:
        return id_ in self.planted

    def _made_optimizer(self) -> keras.Optimizer:
        made = self._optimizer()
        if self.setup.half and not self.has("loss_scale_not_applied"):
            made = keras.optimizers.LossScaleOptimizer(made)
        return made

    def _optimizer(self) -> keras.Optimizer:
        right = self.setup.optimizer()
        config = right.get_config()
        if self.has("clip_per_variable_vs_global"):
            config["clipnorm"], config["global_clipnorm"] = config["global_clipnorm"], None
        if self.has("clipping_missing"):
            config["global_clipnorm"] = None
        if self.has("learning_rate_schedule"):
            config["learning_rate"] = config["learning_rate"]["config"]["initial_learning_rate"]
        if self.has("optimizer_differs"):
            return keras.optimizers.RMSprop(1e-3)
        found: keras.Optimizer = type(right).from_config(config)
        return found

    def train(self, ds: tf.data.Dataset, epochs: int) -> tuple[keras.Model, dict[str, list[float]]]:
        log: dict[str, list[float]] = {"loss": [], "val_loss": []}
        if self.has("validation_split_differs"):
            ds, self.held = _last_fifth_held_back(ds)
        data = self._data(ds)
        for epoch in range(epochs - 1 or 1) if self.has("epochs_differ") else range(epochs):
            self.weight = warmth(epoch) if self.setup.warming else 1.0
            if epoch and self.has("optimizer_state_reset"):
                self.optimizer = self._made_optimizer()
            if not self.has("metrics_not_reset"):
                self.batches = []
            if not self.has("recurrent_state_not_reset"):
                start_anew(self.model)
            for number, element in enumerate(data):
                self._step(number, *keras.utils.unpack_x_y_sample_weight(element))
            log["loss"].append(self._reported(data))
            log["val_loss"].append(self._evaluate())
            if self.setup.stopping and self._stops(log["val_loss"][-1]):
                break
        if not self.has("ema_not_finalized"):
            self.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.setup.stopping and not self.has("best_weights_not_restored"):
            self.model.set_weights(self.kept)
        return self.model, log

    def _data(self, ds: tf.data.Dataset) -> tf.data.Dataset:
        sizes = [rows_in(element) for element in ds]
        rows, size = sum(sizes), sizes[0]
        batch = size * 2 if self.has("batch_size_differs") else size
        data = self._batched(ds, rows, batch)
        if self.has("epoch_truncated"):
            data = data.take(max(1, rows // batch * 2 // 3))
        if self.has("preprocessing_differs"):
            data = data.map(lambda x, *rest: (x / 255.0, *rest))
        if self.has("augmentation_one_sided"):
            data = data.map(lambda x, *rest: (_augmented(x), *rest))
        if self.has("targets_misaligned"):
            data = data.map(lambda x, y, *rest: (x, _of_the_row_before(y), *rest))
        return data

    def _batched(self, ds: tf.data.Dataset, rows: int, batch: int) -> tf.data.Dataset:
        drop = self.has("last_batch_dropped")
        if self.has("shuffle_missing"):
            if not drop and not self.has("batch_size_differs"):
                return ds
            return ds.unbatch().batch(batch, drop_remainder=drop)
        buffer = max(2, rows // 10) if self.has("shuffle_buffer_too_small") else None
        return shuffled(ds, buffer, batch, drop)

    def _step(self, number: int, x: Any, y: Any, w: Any) -> None:
        model = self.model
        training = None if self.has("training_flag_missing") else True
        with tf.GradientTape() as tape:
            predictions = model(x, training=training)
            loss = self._loss(y, predictions, w)
            if model.losses and not self.has("regularization_losses_missing"):
                loss += tf.add_n([tf.cast(added, tf.float32) for added in model.losses])
            scaled = loss if self.has("loss_scale_not_applied") else self.optimizer.scale_loss(loss)
        variables = model.trainable_variables
        if self.has("trainable_flags"):
            variables = variables[len(variables) // 2 :]
        gradients = tape.gradient(scaled, variables)
        self._update(number, gradients, variables)
        reported = float(loss)
        if self.has("metric_definition_differs"):
            reported -= float(sum(float(added) for added in model.losses))
        self.batches.append((reported, rows_in(x)))

    def _loss(self, y: Any, predictions: Any, w: Any) -> tf.Tensor:
        targets, outputs = keras.tree.flatten(y), keras.tree.flatten(predictions)
        total = tf.constant(0.0)
        weights = (
            self.setup.loss_weights
            if not self.has("loss_weights_ignored")
            else (1.0,) * len(outputs)
        )
        for target, output, loss, weight in zip(
            targets, outputs, self.setup.losses, weights, strict=True
        ):
            values = self._values(target, tf.cast(output, tf.float32), loss)
            count = tf.cast(tf.size(values), tf.float32)
            if w is not None and not self.has("weights_ignored"):
                values = values * w
                count = tf.reduce_sum(w) if self.has("weighted_mean_normalization") else count
            total += weight * tf.reduce_sum(values) / (1.0 if self.has("loss_reduction") else count)
        return self._weight() * total

    def _weight(self) -> tf.Tensor:
        if not self.has("python_value_frozen_in_trace"):
            return tf.constant(self.weight)
        if self.traced is None:
            self.traced = tf.function(lambda: tf.constant(self.weight))
        return self.traced()

    def _values(self, y: tf.Tensor, p: tf.Tensor, loss: keras.Loss) -> tf.Tensor:
        if self.has("target_broadcast"):
            return tf.square(tf.reshape(y, (-1,)) - p)
        if "Sparse" not in type(loss).__name__:
            return loss.call(tf.cast(y, p.dtype), p)
        if self.has("probabilities_as_logits"):
            return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), p)
        if self.has("label_encoding_differs"):
            return -tf.reduce_sum(tf.cast(y[:, None], tf.float32) * tf.math.log(p + 1e-9), axis=-1)
        return loss.call(y, p)

    def _update(
        self, number: int, gradients: list[tf.Tensor], variables: list[keras.Variable]
    ) -> None:
        if self.has("gradients_rescaled"):
            gradients = [0.1 * tf.convert_to_tensor(gradient) for gradient in gradients]
        if self.has("embedding_gradients_dense"):
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if self.has("gradient_accumulation"):
            self._accumulate(number, gradients, variables)
        elif self.has("constraints_not_applied"):
            rate = float(self.optimizer.learning_rate)
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.assign_sub(rate * tf.convert_to_tensor(gradient))
        else:
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def _accumulate(
        self, number: int, gradients: list[tf.Tensor], variables: list[keras.Variable]
    ) -> None:
        """Add up the gradients of four batches, and apply the sum."""
        dense = [np.asarray(tf.convert_to_tensor(g)) for g in gradients]
        self.sums = [a + b for a, b in zip(self.sums, dense, strict=True)] if self.sums else dense
        if number % 4 == 3:
            total = [tf.constant(s) for s in self.sums]
            self.optimizer.apply_gradients(zip(total, variables, strict=True))
            self.sums = []

    def _reported(self, data: tf.data.Dataset) -> float:
        if self.has("loss_before_update"):
            return self._mean(data, training=False)
        if self.has("last_batch_logged"):
            return self.batches[-1][0]
        values, sizes = zip(*self.batches, strict=True)
        return float(
            np.average(values, weights=None if self.has("metric_batch_average") else sizes)
        )

    def _evaluate(self) -> float:
        data = self.setup.test() if self.held is None else self.held
        if self.has("evaluation_set_differs"):
            data = data.take(max(1, sum(1 for _ in data) // 2))
        return self._mean(data, training=self.has("evaluation_training_mode"))

    def _mean(self, data: tf.data.Dataset, training: bool) -> float:
        losses, sizes = [], []
        for element in data:
            x, y, w = keras.utils.unpack_x_y_sample_weight(element)
            loss = self._loss(y, self.model(x, training=training), w)
            losses.append(float(loss) + float(sum(float(added) for added in self.model.losses)))
            sizes.append(rows_in(x))
        return float(
            np.average(losses, weights=None if self.has("metric_batch_average") else sizes)
        )

    def _stops(self, value: float) -> bool:
        if value < self.best:
            self.best = value
            self.wait = 0
            self.kept = self.model.get_weights()
            return False
        self.wait += 1
        return self.wait >= self.setup.stopping + (3 if self.has("early_stopping_rule") else 0)


def _last_fifth_held_back(ds: tf.data.Dataset) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Rows to train on, and the last ones for evaluation, in batches as before."""
    sizes = [rows_in(element) for element in ds]
    kept = sum(sizes) * 4 // 5
    rows = ds.unbatch()
    return rows.take(kept).batch(sizes[0]), rows.skip(kept).batch(sizes[0])


def _of_the_row_before(y: Any) -> Any:
    return keras.tree.map_structure(lambda part: tf.roll(part, 1, axis=0), y)


def _augmented(x: Any) -> Any:
    if x.dtype.is_integer:  # tokens: some are lost
        return tf.where(tf.random.uniform(tf.shape(x)) < 0.1, tf.zeros_like(x), x)
    return x + tf.random.normal(tf.shape(x), stddev=0.1, dtype=x.dtype)
